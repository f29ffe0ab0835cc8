"""What the built archives hold: an install of any kind must need no further step."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import jupyter_mig

ROOT = Path(__file__).resolve().parent.parent
NAME = f"jupyter_mig-{jupyter_mig.__version__}"
SWITCH = f"{NAME}.data/data/etc/jupyter/jupyter_server_config.d/jupyter_mig.json"


def call_backend(hook: str, folder: Path) -> Path:
    """Call one hook of the build backend as pip does, in its own process, in the project's root."""
    program = f"import build_backend; print(build_backend.{hook}({str(folder)!r}))"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "labextension")},
        capture_output=True,
        text=True,
        check=True,
    )
    return folder / run.stdout.split()[-1]


@pytest.fixture(scope="module")
def sdist_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Name every file of the source distribution, without its leading folder."""
    with tarfile.open(call_backend("build_sdist", tmp_path_factory.mktemp("sdist"))) as archive:
        return {name.removeprefix(f"{NAME}/") for name in archive.getnames()}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Name every file of the wheel."""
    with zipfile.ZipFile(call_backend("build_wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        return set(archive.namelist())


def test_sdist_can_build_test_and_demonstrate(sdist_names: set[str]) -> None:
    """The source distribution carries the backend, the tests, the manual and the demo."""
    needed = {
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "binder/postBuild",
        "docs/conf.py",
        "jupyter_mig/cli/demo/welcome.ipynb",
        "jupyter_mig/etc/jupyter_mig.json",
        "jupyter_mig/py.typed",
        "labextension/build_backend.py",
        "pyproject.toml",
        "setup.cfg",
        "tests/test_build.py",
    }
    assert needed - sdist_names == set()


def test_wheel_carries_every_module_and_data_file(wheel_names: set[str]) -> None:
    """Nothing of the package is left behind, and the switch for the server extension is there."""
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "jupyter_mig").rglob("*.py")}
    data = {"jupyter_mig/py.typed", "jupyter_mig/cli/demo/welcome.ipynb", SWITCH}
    assert (modules | data) - wheel_names == set()


def test_wheel_carries_nothing_else(wheel_names: set[str]) -> None:
    """Tests, manual and build backend stay out of site-packages."""
    tops = {name.split("/")[0] for name in wheel_names}
    assert tops == {"jupyter_mig", f"{NAME}.data", f"{NAME}.dist-info"}


def test_stale_build_is_not_packed(tmp_path: Path) -> None:
    """A file that an earlier build left behind does not come back in the next wheel."""
    stale = ROOT / "build" / "lib" / "jupyter_mig" / "removed_long_ago.py"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.touch()
    with zipfile.ZipFile(call_backend("build_wheel", tmp_path)) as archive:
        assert "jupyter_mig/removed_long_ago.py" not in archive.namelist()


def test_editable_wheel_switches_the_extension_on(tmp_path: Path) -> None:
    """The data files that setuptools leaves out of editable wheels are there, and recorded."""
    with zipfile.ZipFile(call_backend("build_editable", tmp_path)) as archive:
        assert archive.read(SWITCH) == (ROOT / "jupyter_mig/etc/jupyter_mig.json").read_bytes()
        record = archive.read(f"{NAME}.dist-info/RECORD").decode()
    assert [line for line in record.splitlines() if line.startswith(f"{SWITCH},sha256=")] != []
