"""``broker --check``: whether the broker could start as its user."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.system.shared_node import SharedNode, interpreter, lacking, shared_node

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SharedNode]:
    """A node whose configuration names TLS files that are not there yet."""
    with shared_node() as one:
        files = {
            f"tls_{name}": str(one.directory / f"{name}.pem") for name in ("certificate", "key")
        }
        hub = {"listen": "127.0.0.1:8123", "hub_api_url": "http://127.0.0.1:8081/hub/api"}
        text = one.configuration.read_text()
        one.configuration.write_text(text.replace('"driver":', f'{_inner(hub | files)}, "driver":'))
        yield one


def _inner(values: dict[str, str]) -> str:
    return ", ".join(f'"{name}": "{value}"' for name, value in values.items())


def _checked(node: SharedNode) -> subprocess.CompletedProcess[bytes]:
    done = node.asked(0, "broker", "--config", str(node.configuration), "--check")
    assert b"Traceback" not in done.stderr
    return done


def test_tls_files_are_there_and_the_brokers_to_read(node: SharedNode) -> None:
    """Not there, root's alone, and then as they must be."""
    assert b"No such file" in _checked(node).stderr
    certificate, key = node.directory / "certificate.pem", node.directory / "key.pem"
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
    where = ("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate))
    subprocess.run([*made, *where], check=True, capture_output=True)
    certificate.chmod(0o644)
    key.chmod(0o600)
    refused = _checked(node)
    assert b"cannot use the TLS certificate" in refused.stderr
    assert b"Permission denied" in refused.stderr
    assert b"can be used" not in refused.stdout
    key.chmod(0o644)
    assert b"can be used" in _checked(node).stdout


def test_a_python_that_is_roots_alone_is_told_of() -> None:
    """The broker would start, and end when it reads what it had not read before."""
    python = interpreter()
    assert python is not None
    with shared_node() as node:
        own = node.directory / "own"
        own.mkdir(mode=0o700)
        (own / "python").symlink_to(python)
        command = (str(own / "python"), "-m", "jupyter_mig.cli", "broker", "--check")
        done = subprocess.run(
            [*command, "--config", str(node.configuration)],
            check=False,
            capture_output=True,
            env=node.environ(),
            cwd="/",
        )
        assert b"cannot run this Python" in done.stderr
        assert b"can be used" not in done.stdout
        assert done.returncode != 0
