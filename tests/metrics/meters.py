"""A meter that answers by script: what is under it is the physical world."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from threading import Event

from jupyter_mig.core.geometry import Identity
from jupyter_mig.errors import DriverError, GpuLost, NotSupported
from jupyter_mig.metrics.subjects import Slice, Subjects

LOST = 2
"""The GI id of an instance whose GPU fell off the bus."""

WITHOUT_COUNTERS = NotSupported("no counters")

WEDGED = 4
"""The GI id of an instance whose GPU answers only when it may."""


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time now."""
        return self.now


class Meter:
    """Counts what it is asked; answers once it may."""

    def __init__(self, refusal: DriverError | None = None) -> None:
        """``refusal`` is why there are no counters."""
        self.asked = 0
        self.refusal = refusal
        self.kept: dict[int, Identity] = {}
        self.percent: dict[str, float] = {"sm": 50.0, "graphics": 60.0}
        self.used = 1
        self.watts = 100.0
        self.celsius = 40.0
        self.busy = 30.0
        self.between: Callable[[], object] = lambda: None
        self.may_answer = Event()
        self.may_answer.set()
        self.may_recover = Event()
        self.was_asked = Event()
        self._numbers = count(1)

    def memory(self, identity: Identity) -> tuple[int, int]:
        """One byte of a hundred, unless told otherwise."""
        self._answer(identity.gi_id)
        return self.used, 100

    def occupants(self, gpu_uuid: str, identity: Identity) -> tuple[int, ...]:
        """Two processes."""
        self._answer(identity.gi_id)
        return (7, 8)

    def keep_counters(self, gpu_uuid: str, identity: Identity) -> int:
        """A new number."""
        self._answer(identity.gi_id)
        if self.refusal is not None:
            raise self.refusal
        number = next(self._numbers)
        self.kept[number] = identity
        return number

    def percent_between(self, gpu_uuid: str, earlier: int, later: int) -> dict[str, float]:
        """As set, of counters that are kept."""
        assert earlier < later
        assert self.kept[earlier] == self.kept[later]
        self.between()
        return self.percent

    def forget_counters(self, gpu_uuid: str, number: int) -> None:
        """Once each."""
        del self.kept[number]

    def busy_percent(self, gpu_uuid: str) -> float:
        """As set."""
        return self.busy

    def power_watts(self, gpu_uuid: str) -> float:
        """As set."""
        self._answer()
        return self.watts

    def temperature_celsius(self, gpu_uuid: str) -> float:
        """As set."""
        self._answer()
        return self.celsius

    def _answer(self, gi_id: int = 0) -> None:
        self.asked += 1
        self.was_asked.set()
        assert self.may_answer.wait(20)
        assert gi_id != WEDGED or self.may_recover.wait(20)
        if gi_id == LOST:
            raise GpuLost("GPU is lost")


def leased(
    gi_id: int = 1, lease_id: str | None = "lease", life_seconds: float = 1000.0, name: str = ""
) -> Slice:
    """An instance that has been somebody's for long."""
    identity = Identity(gi_id, 0, f"MIG-{gi_id}")
    return Slice(name or f"i{gi_id}", "GPU-1", identity, lease_id, life_seconds)


def of(*slices: Slice) -> Callable[[], Subjects]:
    """These are there, on one GPU."""
    return lambda: Subjects(slices, ("GPU-1",))
