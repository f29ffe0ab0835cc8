"""Environment variables that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.client.settings import DRIVER_VARIABLE

_PAGE = "Environment variables"
_UNSET = "unset {0}; a kernel is given them afresh"
_LEASE = "JUPYTER_MIG_LEASE"
_UUID = "JUPYTER_MIG_UUID"
_SIMULATED = "JUPYTER_MIG_SIMULATED"
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def check(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What a user set, and what a kernel was given, must tell the same story."""
    findings = [*_slice(environ), *_simulation(environ), *_hidden(environ)]
    yield from findings or [ok("variables", "none contradicts another")]


def _slice(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A slice that a kernel was given, seen from within it."""
    given, visible = environ.get(_UUID), environ.get(_VISIBLE)
    if given is not None and visible != given:
        seen = f"{_VISIBLE} is {visible or 'not set'}, and {_UUID} says {given}"
        yield problem("variables", seen, f"export {_VISIBLE}=${_UUID}", _PAGE)
    elif environ.get(_LEASE):
        yield note("variables", "this is inside a kernel, which has a slice of its own")


def _simulation(environ: Mapping[str, str]) -> Iterator[Finding]:
    named = environ.get(DRIVER_VARIABLE, "nvml").startswith("simulated:")
    if environ.get(_SIMULATED) and not named:
        seen = f"{_SIMULATED} is set, and {DRIVER_VARIABLE} names no simulated node"
        yield problem("variables", seen, _UNSET.format(_SIMULATED), _PAGE)


def _hidden(environ: Mapping[str, str]) -> Iterator[Finding]:
    """No GPU shall be seen, and GPUs are to be handed out."""
    for name, nothing in ((_VISIBLE, ("", "-1")), ("NVIDIA_VISIBLE_DEVICES", ("void", "none"))):
        if environ.get(name) in nothing and environ.get(_UUID) is None:
            shown = environ[name] or "empty"
            seen = f"{name} is {shown}, which hides all GPUs from programs that are started here"
            yield note("variables", seen, f"unset {name}", _PAGE)
