"""The slice of a program, and what asking for it loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import jupyter_mig
from jupyter_mig import errors
from jupyter_mig.kernels.environment import with_slice, without_gpu
from jupyter_mig.widget.current import CurrentSlice, slice_in
from jupyter_mig.wire.messages import SliceView

SLICE = SliceView("MIG-1", "1g.10gb", 10 << 30, 16, "GPU-1", 3, "NVIDIA H100", 7)
ENVIRON = with_slice(
    {}, SLICE, lease_id="L", key="secret", socket=Path("/run/s"), simulated=True, instead_of="1g"
)


def test_the_environment_tells_the_slice() -> None:
    """What the provisioner writes is what a program reads."""
    assert slice_in(ENVIRON) == CurrentSlice(
        lease_id="L",
        mig_uuid="MIG-1",
        profile="1g.10gb",
        memory_bytes=10 << 30,
        gpu_name="NVIDIA H100",
        gpu_index=3,
        simulated=True,
        instead_of="1g",
    )


def test_printing_it_tells_no_secret() -> None:
    """Notebooks are shared with what they print."""
    assert "secret" not in repr(slice_in(ENVIRON))


def test_without_a_slice_there_is_none() -> None:
    """In a kernel without a GPU, and anywhere else."""
    assert slice_in({}) is None
    assert slice_in(without_gpu(ENVIRON)) is None


def test_an_environment_of_another_version_is_read_as_far_as_it_goes() -> None:
    """What is missing or makes no sense is not known."""
    found = slice_in({"JUPYTER_MIG_LEASE": "L", "JUPYTER_MIG_MEMORY_BYTES": "much"})
    assert found is not None
    assert (found.memory_bytes, found.gpu_index, found.profile) == (None, None, "")


def test_now_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one the answer says what is missing."""
    for name, value in {**ENVIRON, "JUPYTER_MIG_KEY": ""}.items():
        monkeypatch.setenv(name, value)
    mine = jupyter_mig.current_slice()
    assert mine is not None
    with pytest.raises(errors.BrokerUnreachable, match="no key"):
        mine.now()


def _python(program: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd="/"
    )
    return run.stdout + run.stderr


def test_programs_load_little() -> None:
    """Neither widgets nor a server's or client's libraries come with the current slice."""
    loaded = _python(
        "from jupyter_mig import current_slice; current_slice()\n"
        "import sys; print('\\n'.join(sys.modules))"
    ).split()
    assert "jupyter_mig.widget.current" in loaded
    heavy = {"ipywidgets", "traitlets", "tornado", "pynvml", "jupyter_client", "asyncio"}
    assert heavy.isdisjoint(loaded)


def test_without_ipywidgets_the_error_says_what_to_install() -> None:
    """And the rest works."""
    printed = _python(
        "import sys; sys.modules['ipywidgets'] = None\n"
        "from jupyter_mig import current_slice; print(current_slice())\n"
        "from jupyter_mig import SliceMonitor"
    )
    assert printed.startswith("None\n")
    last = printed.strip().splitlines()[-1]
    assert last.startswith("ImportError: SliceMonitor needs ipywidgets")
    assert "pip install ipywidgets" in last


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="SliceMonitr"):
        jupyter_mig.SliceMonitr  # type: ignore[attr-defined]  # noqa: B018
