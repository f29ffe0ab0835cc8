"""``jupyter mig demo`` as people run it: started, used, and ended with Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.nodes import MIG, running

ADDRESS = re.compile(r"^JupyterLab (http://\S+/)lab/tree/welcome\.ipynb\?token=(\w+)$")


class Demo:
    """A running demo, from its first line to its address."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append(line.rstrip("\n"))
            if line.startswith("Log "):
                self.log = Path(line.split()[1])
            if found := ADDRESS.match(line):
                self.url, self.token = found.groups()
                return
        pytest.fail("the demo ended: " + "\n".join(self.said))

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request to its Jupyter server."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


@contextmanager
def started(directory: Path, *arguments: str) -> Iterator[Demo]:
    """A demo with a home of its own, by which its processes are known."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("JUPYTER")}
    with tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as place:
        environ |= {"HOME": place, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [*MIG, "demo", "--no-browser", "--port", "0", "--dir", str(directory), *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            demo = Demo(process)
            yield demo
            process.wait(60)
            assert running(place) == {}
            assert not demo.log.exists()
        finally:
            process.kill()
            process.communicate()


def test_the_demo_serves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """It says that it is simulated, its kernel gets a slice, Ctrl-C ends all of it with 0."""
    with started(tmp_path) as demo:
        assert demo.said[0] == "SIMULATED NVIDIA GPUs: no hardware is used"
        contents = demo.ask("api/contents/welcome.ipynb?content=1")
        spec = contents["content"]["metadata"]["kernelspec"]["name"]
        assert spec in demo.ask("api/kernelspecs")["kernelspecs"]
        session = {
            "path": "welcome.ipynb", "name": "welcome.ipynb", "type": "notebook",
            "kernel": {"name": spec},
        }  # fmt: skip
        demo.ask("api/sessions", session)
        leases = _inside(demo, "leases", "--json")
        assert [lease["size"] for lease in leases] == ["1g.5gb"]
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(60) == 0


def test_the_demo_ends_when_lab_is_shut_down(tmp_path: Path) -> None:
    """File, Shut Down in JupyterLab is as good as Ctrl-C."""
    with started(tmp_path, "--driver", "simulated:1xA30") as demo:
        metadata = demo.ask("api/contents/welcome.ipynb?content=1")["content"]["metadata"]
        assert metadata["kernelspec"]["name"] == "python3-mig-1g.6gb"
        request = urllib.request.Request(
            demo.url + "api/shutdown", data=b"", headers={"Authorization": f"token {demo.token}"}
        )
        urllib.request.urlopen(request, timeout=30).close()
        assert demo.process.wait(60) == 0


def test_a_lab_that_does_not_start_is_said(tmp_path: Path) -> None:
    """Its last words are part of the message."""
    done = subprocess.run(
        [*MIG, "demo", "--no-browser", "--dir", str(tmp_path), "--", "--ServerApp.port=teapot"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[0].startswith("jupyter mig: JupyterLab ended by itself with status ")
    assert "teapot" in done.stderr


def test_without_jupyterlab_the_demo_says_what_to_install(tmp_path: Path) -> None:
    """In a Python that finds no JupyterLab: one message, and nothing is written."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_LAB, "demo", "--dir", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert 'pip install "jupyter-mig[demo]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "demo").exists()


_WITHOUT_LAB = """
import sys
sys.modules["jupyterlab"] = None  # what Python itself remembers a module without a spec by
from jupyter_mig.cli.main import main
sys.exit(main())
"""


def _inside(demo: Demo, *arguments: str) -> Any:
    """What ``jupyter mig`` says in a terminal of the demo: with the environment of its Lab."""
    (lab,) = (
        pid
        for pid, command in running(f"JUPYTER_TOKEN={demo.token}").items()
        if "-m jupyterlab" in command
    )
    pairs = Path(f"/proc/{lab}/environ").read_text(encoding="utf-8").split("\0")
    environ = dict(pair.split("=", 1) for pair in pairs if pair)
    done = subprocess.run(
        [*MIG, *arguments], env=environ, capture_output=True, check=True, timeout=60
    )
    return json.loads(done.stdout)
