"""Run jupyter_client's and jupyter_server's own tests with our provisioner as the default.

    python tools/upstream_tests.py [--dir build/upstream] [NAME_OF_A_FILE ...]

Their source archives carry the tests of kernels and sessions. Each set runs with the stock
provisioner, with ours giving every kernel a slice of a SIMULATED node, and with ours giving none;
what went otherwise than with the stock one is printed. Exit code 1: there was something.
Nothing of theirs is kept in this repository; downloads stay in the directory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from jupyter_mig.client import Client, Settings

DRIVER = "simulated:5xA100-SXM4-40GB"
TESTS = {
    "jupyter_client": (
        "tests/test_kernelmanager.py",
        "tests/test_manager.py",
        "tests/test_multikernelmanager.py",
        "tests/test_provisioning.py",
        "tests/test_restarter.py",
        "tests/test_client.py",
        "tests/test_transport_security.py",
    ),
    "jupyter_server": ("tests/services/kernels", "tests/services/sessions"),
}
PLUGINS = ("pytest-jupyter", "pytest-console-scripts", "flaky", "msgpack")
"""What these tests need beyond our own environment; installed beside it, not into it."""

OURS = {"JUPYTER_DEFAULT_PROVISIONER_NAME": "mig-provisioner"}
MODES = {
    "stock": {},
    "slice": {**OURS, "JUPYTER_MIG_DEFAULT_SIZE": "1g.5gb"},
    "no gpu": OURS,
}

Outcomes = dict[str, str]


def pip(*arguments: str) -> None:
    """Run pip; it says what went wrong."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def fetched(directory: Path, project: str) -> Path:
    """The unpacked source archive of the version that is installed."""
    name = f"{project}-{version(project)}"
    if not (directory / name).is_dir():
        wanted = f"{project}=={version(project)}"
        pip("download", "--no-deps", "--no-binary", ":all:", "--dest", str(directory), wanted)
        with tarfile.open(directory / f"{name}.tar.gz") as archive:
            archive.extractall(directory, filter="data")
    return directory / name


def plugins(directory: Path) -> Path:
    """The directory with the plugins."""
    target = directory / "plugins"
    if not target.is_dir():
        pip("install", "--no-deps", "--target", str(target), *PLUGINS)
    return target


@contextmanager
def node() -> Iterator[dict[str, str]]:
    """The variables of a simulated node of its own, whose broker is started by who needs it."""
    with tempfile.TemporaryDirectory(prefix="mig-") as runtime:
        variables = {"JUPYTER_MIG_DRIVER": DRIVER, "XDG_RUNTIME_DIR": runtime}
        try:
            yield variables
        finally:
            client = Client(Settings.from_environment(variables))
            os.kill(asyncio.run(client.broker()).pid, signal.SIGTERM)


def run(source: Path, tests: list[str], environment: dict[str, str]) -> Outcomes:
    """Each test's outcome."""
    report = source / "report.xml"
    report.unlink(missing_ok=True)
    options = ("-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "--timeout=120", "--tb=short")
    command = (sys.executable, "-m", "pytest", *options, f"--junit-xml={report}", *tests)
    with (source / "output.txt").open("a") as output:
        subprocess.run(
            command, cwd=source, env=environment, stdout=output, stderr=output, check=False
        )
    if not report.exists():
        raise SystemExit(f"no test ran: {source}/output.txt")
    return dict(outcomes(report))


def outcomes(report: Path) -> Iterator[tuple[str, str]]:
    """Test and outcome, from pytest's report."""
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        found = {child.tag for child in case} & {"failure", "error", "skipped"}
        yield f"{case.get('classname')}::{case.get('name')}", next(iter(found), "passed")


def compare(project: str, results: dict[str, Outcomes]) -> int:
    """Print sums and differences; how many tests went otherwise."""
    for mode, found in results.items():
        sums = ", ".join(
            f"{count} {name}" for name, count in sorted(Counter(found.values()).items())
        )
        print(f"{project} {version(project)} {mode:7} {sums}")
    stock = results["stock"]
    differing = 0
    for mode, found in results.items():
        for test in sorted(stock.keys() | found.keys()):
            before, after = stock.get(test, "missing"), found.get(test, "missing")
            if before != after:
                differing += 1
                print(f"  {mode}: {test}: {after} (stock: {before})")
    return differing


def main() -> int:
    """Fetch, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path("build/upstream"))
    parser.add_argument("names", nargs="*", help="only tests whose path has one of these")
    options = parser.parse_args()
    directory = options.dir.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    differing = 0
    with node() as variables:
        environment = {**os.environ, "PYTHONPATH": str(plugins(directory)), **variables}
        for project, paths in TESTS.items():
            tests = [path for path in paths if _wanted(path, options.names)]
            source = fetched(directory, project)
            results = {
                mode: run(source, tests, {**environment, **extra})
                for mode, extra in (MODES.items() if tests else ())
            }
            differing += compare(project, results) if results else 0
    print(f"{differing} outcomes differ")
    return min(differing, 1)


def _wanted(path: str, names: list[str]) -> bool:
    return not names or any(name in path for name in names)


if __name__ == "__main__":
    raise SystemExit(main())
