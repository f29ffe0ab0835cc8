"""Which GPU a device node belongs to."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

_MAJOR = 195
_GPUS = range(128)
"""Minor numbers beyond are of nodes that are no GPU's."""

_GPU = re.compile(r"nvidia([0-9]{1,3})")
_CAPABILITY = re.compile(r"nvidia-cap([0-9]{1,6})")
_FIRST_CAPABILITY, _CAPABILITIES_PER_GPU = 3, 135


def gpu_of(file: Path) -> Iterator[int]:
    """The minor number of the GPU to which a node belongs, whatever it is called; none if to none.
    Those of slices are numbered by the driver (``/proc/driver/nvidia-caps/mig-minors``).
    """
    there, name = _seen(file), Path(os.path.realpath(file)).name
    gpu, capability = _GPU.fullmatch(name), _CAPABILITY.fullmatch(name)
    if there is not None and stat.S_ISCHR(there.st_mode) and os.major(there.st_rdev) == _MAJOR:
        yield from {os.minor(there.st_rdev)}.intersection(_GPUS)
    elif gpu is not None:
        yield int(gpu[1])
    elif capability is not None and int(capability[1]) >= _FIRST_CAPABILITY:
        yield (int(capability[1]) - _FIRST_CAPABILITY) // _CAPABILITIES_PER_GPU


def _seen(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None
