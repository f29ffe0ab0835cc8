"""Every profile at every start, made and destroyed for real, and looked at in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from jupyter_mig import errors
from jupyter_mig.core.geometry import Gpu, Identity, Instance, Profile, Spec
from jupyter_mig.nvml.port import HardwarePort

Result = TypeVar("Result")


class Trial(msgspec.Struct, frozen=True):
    """One profile at one start. ``problems`` is empty if all was as it should be."""

    profile: str
    profile_id: int
    start: int
    width: int
    gi_id: int | None = None
    create_seconds: float = 0.0
    observe_seconds: float = 0.0
    destroy_seconds: float = 0.0
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    problems: tuple[str, ...] = ()


class Bench:
    """An idle GPU that is ours. Whatever is made on it is noted until it is destroyed."""

    def __init__(self, driver: HardwarePort, gpu: Gpu) -> None:
        self._driver = driver
        self._gpu = gpu
        self._made: list[Identity] = []

    def trials(self, over: Callable[[], bool]) -> Iterator[Trial]:
        """Try all; ``over`` is asked before each whether to stop."""
        for profile in sorted(self._gpu.geometry.profiles, key=lambda one: one.profile_id):
            for start in profile.starts:
                if over():
                    return
                yield self._trial(profile, start)

    def clear(self) -> list[str]:
        """Destroy what is left of ours; what is there nevertheless, in words."""
        left: list[str] = []
        for identity in list(self._made):
            try:
                self._destroy(identity)
            except errors.DriverError as error:  # noqa: PERF203 - each is a case of its own
                left.append(f"GPU instance {identity.gi_id} is still there: {error.message}")
        return left or self._unexpected()

    def _unexpected(self) -> list[str]:
        """What somebody else made meanwhile, or the driver half made and did not tell."""
        try:
            seen = self._driver.instances(self._gpu.uuid)
        except errors.DriverError as error:
            return [f"What is there now cannot be seen: {error.message}"]
        return [f"GPU instance {one.identity.gi_id} ({one.profile_name}) is there" for one in seen]

    def _trial(self, profile: Profile, start: int) -> Trial:
        found = Trial(profile.name, profile.profile_id, start, profile.width)
        spec = Spec(self._gpu.uuid, profile.profile_id, start)
        try:
            identity, create_seconds = _timed(lambda: self._driver.create(spec))
        except errors.DriverError as error:
            return _with_problem(found, "create", error)
        self._made.append(identity)
        found = msgspec.structs.replace(found, gi_id=identity.gi_id, create_seconds=create_seconds)
        try:
            found = self._looked_at(found, spec, identity, profile)
        except errors.DriverError as error:
            found = _with_problem(found, "look", error)
        return self._taken_down(found, identity)

    def _looked_at(self, found: Trial, spec: Spec, identity: Identity, profile: Profile) -> Trial:
        wanted = Instance(spec, identity, profile.name, profile.memory_bytes)
        seen, seconds = _timed(lambda: self._driver.instances(self._gpu.uuid))
        used, total = self._driver.memory(identity)
        return msgspec.structs.replace(
            found,
            observe_seconds=seconds,
            memory_used_bytes=used,
            memory_total_bytes=total,
            problems=(*_differences(wanted, seen), *_implausible(used, total)),
        )

    def _taken_down(self, found: Trial, identity: Identity) -> Trial:
        try:
            _, seconds = _timed(lambda: self._destroy(identity))
            left = self._driver.instances(self._gpu.uuid)
        except errors.DriverError as error:
            return _with_problem(found, "destroy", error)
        problems = (f"destroyed, and {len(left)} instances are seen",) if left else ()
        return msgspec.structs.replace(
            found, destroy_seconds=seconds, problems=(*found.problems, *problems)
        )

    def _destroy(self, identity: Identity) -> None:
        self._driver.destroy(self._gpu.uuid, identity)
        self._made.remove(identity)


def _timed(call: Callable[[], Result]) -> tuple[Result, float]:
    began = time.monotonic()
    result = call()
    return result, time.monotonic() - began


def _differences(wanted: Instance, seen: tuple[Instance, ...]) -> Iterator[str]:
    if len(seen) != 1:
        yield f"made one instance, and {len(seen)} are seen"
        return
    for field in Instance.__struct_fields__:
        want, see = getattr(wanted, field), getattr(seen[0], field)
        if want != see:
            yield f"{field} should be {want}, is {see}"


def _implausible(used: int, total: int) -> Iterator[str]:
    if not 0 <= used < total:
        yield f"{used} bytes of {total} are in use"


def _with_problem(found: Trial, step: str, error: errors.DriverError) -> Trial:
    text = f"{step}: {error.message} ({error.situation})"
    return msgspec.structs.replace(found, problems=(*found.problems, text))
