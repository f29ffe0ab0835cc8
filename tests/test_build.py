"""What the built archives hold: an install of any kind must need no further step."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import jupyter_mig

pytestmark = pytest.mark.timeout(600)  # packs and installs for real

ROOT = Path(__file__).resolve().parent.parent
NAME = f"jupyter_mig-{jupyter_mig.__version__}"
LAB = f"{NAME}.data/data/share/jupyter/labextensions/jupyter-mig"
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
        "jupyter_mig/labextension/package.json",
        "labextension/build_backend.py",
        "labextension/frontend.py",
        "labextension/install.json",
        "labextension/node.py",
        "labextension/package-lock.json",
        "labextension/src/index.ts",
        "labextension/style/base.css",
        "labextension/test/model.test.ts",
        "pyproject.toml",
        "setup.cfg",
        "tests/test_build.py",
    }
    assert needed - sdist_names == set()


def test_sdist_carries_nothing_that_building_leaves(sdist_names: set[str]) -> None:
    """No packages of npm's, no intermediate files."""
    left = ("labextension/node_modules", "labextension/lib", "labextension/build/")
    assert [name for name in sdist_names if name.startswith(left)] == []


def test_an_install_from_the_sdist_needs_no_node(tmp_path: Path) -> None:
    """Its front end is that of its sources: no hook of the backend builds or asks for Node.js."""
    with tarfile.open(call_backend("build_sdist", tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    run = subprocess.run(
        [sys.executable, "-c", "import frontend; print(frontend.is_fresh())"],
        cwd=tmp_path / NAME / "labextension",
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "True"


def test_the_lock_file_names_no_registry() -> None:
    """Versions and checksums only: whoever installs asks the registry they trust."""
    assert '"resolved"' not in (ROOT / "labextension" / "package-lock.json").read_text()


def test_versions_agree() -> None:
    """The JupyterLab extension has the version of the package."""
    for name in ("package.json", "package-lock.json"):
        document = json.loads((ROOT / "labextension" / name).read_text())
        assert document["version"] == jupyter_mig.__version__


def test_wheel_carries_every_module_and_data_file(wheel_names: set[str]) -> None:
    """Nothing of the package is left behind, and the switch for the server extension is there."""
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "jupyter_mig").rglob("*.py")}
    data = {"jupyter_mig/py.typed", "jupyter_mig/cli/demo/welcome.ipynb", SWITCH}
    assert (modules | data) - wheel_names == set()


def test_wheel_carries_the_jupyterlab_extension_once(wheel_names: set[str]) -> None:
    """All that the builder made of the sources, where JupyterLab looks for it, and no copy of it in
    the package; at the first build too.
    """
    built = ROOT / "jupyter_mig" / "labextension"
    static = {f"{LAB}/static/{path.name}" for path in (built / "static").iterdir()}
    settings = {f"{LAB}/schemas/jupyter-mig/notices.json"}
    assert {f"{LAB}/package.json", f"{LAB}/install.json"} | static | settings <= wheel_names
    assert any("/static/remoteEntry." in name for name in static)
    assert [name for name in wheel_names if name.startswith("jupyter_mig/labextension")] == []


def test_jupyterlab_finds_it_in_an_environment_without_node(tmp_path: Path) -> None:
    """``pip install`` of the wheel is all. (JupyterLab itself is lent from this environment.)"""
    wheel = call_backend("build_wheel", tmp_path)
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--ignore-installed", str(wheel)], check=True)
    listed = subprocess.run(
        [python, "-m", "jupyterlab.labextensions", "list"],
        env={"PATH": str(python.parent), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in listed.stderr.splitlines() if "jupyter-mig v" in line]
    assert "enabled" in line
    assert "OK" in line
    assert "(python, jupyter-mig)" in line


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
        assert f"{LAB}/package.json" in archive.namelist()
        record = archive.read(f"{NAME}.dist-info/RECORD").decode()
    assert [line for line in record.splitlines() if line.startswith(f"{SWITCH},sha256=")] != []
