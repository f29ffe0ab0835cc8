"""What `pip install jupyter-mig` promises before anything of it runs."""

import configparser
import json
import re
import subprocess
import sys
from importlib.metadata import EntryPoint, distribution, entry_points, requires
from pathlib import Path

import jupyter_mig

ROOT = Path(__file__).resolve().parent.parent


def modules_after(statement: str) -> set[str]:
    """Run one statement in a fresh interpreter and say which modules are loaded then."""
    program = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/"
    )
    return set(run.stdout.split())


def declared_entry_point(group: str, name: str) -> EntryPoint:
    """Find one of our entry points in the installed metadata."""
    (entry_point,) = entry_points(group=group, name=name)
    return entry_point


def test_import_is_light() -> None:
    """The package itself loads no server framework, no configuration system, no NVML, no room."""
    loaded = modules_after("import jupyter_mig; jupyter_mig._jupyter_server_extension_points()")
    assert loaded.isdisjoint({"tornado", "traitlets", "pynvml", "msgspec", "asyncio"})
    assert [name for name in loaded if name.startswith("jupyter_mig")] == ["jupyter_mig"]


def test_version_is_written_once() -> None:
    """The package spells its version; setup.cfg and the installed metadata take it from there."""
    assert distribution("jupyter-mig").version == jupyter_mig.__version__
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["metadata"]["version"] == "attr: jupyter_mig.__version__"


def test_provisioner_is_declared() -> None:
    """Jupyter finds our provisioner by the name that kernelspecs carry."""
    found = declared_entry_point("jupyter_client.kernel_provisioners", "mig-provisioner")
    assert found.value == "jupyter_mig.kernels.provisioner:MIGProvisioner"


def test_provisioner_is_a_provisioner() -> None:
    """The declared class is what jupyter_client expects to get."""
    from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

    found = declared_entry_point("jupyter_client.kernel_provisioners", "mig-provisioner").load()
    assert issubclass(found, KernelProvisionerBase)


def test_command_is_declared() -> None:
    """`jupyter mig` works because Jupyter looks for a program called jupyter-mig."""
    found = declared_entry_point("console_scripts", "jupyter-mig")
    assert found.value == "jupyter_mig.cli.main:main"
    assert callable(found.load())


def test_server_extension_is_switched_on() -> None:
    """The installed json enables the extension that the package points to, and it loads."""
    installed = Path(sys.prefix, "etc", "jupyter", "jupyter_server_config.d", "jupyter_mig.json")
    config = json.loads(installed.read_text())
    assert config == {"ServerApp": {"jpserver_extensions": {"jupyter_mig": True}}}
    (point,) = jupyter_mig._jupyter_server_extension_points()
    assert modules_after(f"import {point['module']}") >= {"jupyter_mig.server"}


def test_dependencies_have_reasons() -> None:
    """Each dependency that users must install is accounted for in the decision on dependencies."""
    (decision,) = (ROOT / "docs" / "decisions").glob("*-dependencies.md")
    reasons = decision.read_text()
    needed = [line for line in requires("jupyter-mig") or () if "extra ==" not in line]
    names = [re.split(r"[^\w-]", line)[0] for line in needed]
    assert names
    assert [name for name in names if f"`{name}`" not in reasons] == []
