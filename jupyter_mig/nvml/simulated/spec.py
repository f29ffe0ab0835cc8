"""The text that describes a simulated node, and its parsed form.

``2xA100-SXM4-40GB,1xA30?time_scale=0&mig=off`` is two A100s and an A30 that create and destroy
without taking time and start with MIG mode off.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby
from urllib.parse import parse_qsl

import msgspec

from jupyter_mig.errors import UnknownDriver

from .drivers import DRIVERS, NEWEST
from .models import known_models

MAX_GPUS = 32
"""GPUs that the driver's fixed table of MIG device minors has room for."""

_SWITCH = {"on": True, "1": True, "true": True, "off": False, "0": False, "false": False}


class NodeSpec(msgspec.Struct, frozen=True):
    """A simulated node: its GPUs in NVML order and how it treats this caller."""

    models: tuple[str, ...]
    time_scale: float = 1.0
    """Factor on the time that create and destroy take; 0 is at once."""
    mig: bool = True
    """Whether a new node starts with MIG mode on."""
    privileged: bool = True
    """Whether the caller is root or holds the ``mig/config`` capability."""
    monitor: bool = False
    """Whether an unprivileged caller holds the ``mig/monitor`` capability."""
    driver: str = NEWEST
    """The driver branch: a key of ``DRIVERS``."""
    root: str | None = None
    """Directory under which the driver's capability files and device nodes are laid out."""
    devices: bool = False
    """Whether the nodes there are character devices, which only root can make, and which nobody
    can open, as there is no driver behind them; else they are files, which can be locked."""
    numa: int | None = None
    """How many NUMA nodes to pretend; 0: NVML cannot tell; None: as this machine is."""

    def __str__(self) -> str:
        runs = ((name, len(list(run))) for name, run in groupby(self.models))
        return ",".join(f"{count}x{name}" for name, count in runs)


def parse(text: str) -> NodeSpec:
    """Read a node description; UnknownDriver says what is wrong and what would be right."""
    gpus, _, options = text.partition("?")
    models = tuple(name for part in gpus.split(",") for name in _gpus(part.strip(), text))
    if len(models) > MAX_GPUS:
        raise _unreadable(text, f"a node has at most {MAX_GPUS} GPUs, this one {len(models)}")
    spec = msgspec.structs.replace(NodeSpec(models), **_options(options, text))
    for name in models:
        if name not in known_models(spec.driver):
            raise _unreadable(text, f"driver {spec.driver} is too old for {name}")
    return spec


def _gpus(part: str, text: str) -> tuple[str, ...]:
    found = re.fullmatch(r"(?:([1-9][0-9]?)\s*x\s*)?(\S.*)", part)
    if found is None:
        raise _unreadable(text, "a GPU model is missing")
    count, name = found.groups()
    if name not in known_models():
        raise _unreadable(text, f"there is no simulated GPU called {name}")
    return (name,) * int(count or 1)


def _options(text: str, whole: str) -> dict[str, object]:
    pairs = parse_qsl(text, keep_blank_values=True)
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if repeated or (text and not pairs):
        raise _unreadable(whole, f"the options {text} do not read as name=value&name=value")
    return {name: _option(name, value, whole) for name, value in pairs}


def _option(name: str, value: str, text: str) -> object:
    if name == "time_scale":
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", value):
            return float(value)
        raise _unreadable(text, f"time_scale is a number from 0 up, not {value}")
    if name == "driver":
        if value in DRIVERS:
            return value
        raise _unreadable(text, f"driver is one of {', '.join(DRIVERS)}, not {value}")
    if name == "root":
        if value.startswith("/") and value.strip("/"):
            return value
        raise _unreadable(text, f"root is the full path of a directory, not {value}")
    if name == "numa":
        if re.fullmatch(r"[0-9]|[1-5][0-9]|6[0-4]", value):
            return int(value)
        raise _unreadable(text, f"numa is a number of nodes up to 64, not {value}")
    if name not in ("mig", "privileged", "monitor", "devices"):
        raise _unreadable(text, f"there is no option {name}")
    if value.lower() not in _SWITCH:
        raise _unreadable(text, f"{name} is on or off, not {value}")
    return _SWITCH[value.lower()]


def _unreadable(text: str, reason: str) -> UnknownDriver:
    return UnknownDriver(
        f"Cannot simulate {text}: {reason}",
        situation=f"Known models: {', '.join(known_models())}",
        next_step="Write it like 2xA100-SXM4-40GB or 1xA30,1xH200?time_scale=0"
        " (options: time_scale, mig, privileged, monitor, driver, root, devices, numa)",
    )
