"""The instances this helper has made, on file: it destroys no others, whatever it is asked. And the
GPUs whose nodes it has closed, with whose each is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import MappingProxyType

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.processes import boot_id
from jupyter_mig.core.geometry import Spec


class _Kept(msgspec.Struct, frozen=True):
    boot_id: str
    made: tuple[tuple[str, int], ...] = ()
    closed: dict[str, int] = {}
    begun: frozenset[Spec] = frozenset()


class Register:
    """GPU UUIDs and GPU instance ids, of this boot: no instance outlives a boot, nor does a node.

    The file belongs to root, in a directory of root's. One that cannot be read is an error, not an
    empty register: nothing would ever be destroyed again. For any number of threads; what cannot
    be written raises UnwritableLog and is not so.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        kept = self._read()
        self._made = frozenset(kept.made)
        self._closed = kept.closed
        self._begun = kept.begun
        self._lock = Lock()

    @property
    def made(self) -> frozenset[tuple[str, int]]:
        """All of them."""
        return self._made

    @property
    def closed(self) -> Mapping[str, int]:
        """The users whose closed GPUs are, by GPU UUID; root where it is nobody's."""
        return MappingProxyType(self._closed)

    @property
    def begun(self) -> frozenset[Spec]:
        """What we were about to make, and may have made."""
        return self._begun

    def holds(self, gpu_uuid: str, gi_id: int) -> bool:
        """Whether we made it."""
        return (gpu_uuid, gi_id) in self._made

    def begin(self, spec: Spec) -> None:
        """We are about to make one there: whoever comes after us knows, should we end meanwhile."""
        with self._lock:
            self._keep(self._made, self._closed, self._begun | {spec})

    def settle(self, spec: Spec, *gi_ids: int) -> None:
        """What has become of it: that instance, or none."""
        made = {(spec.gpu_uuid, gi_id) for gi_id in gi_ids}
        with self._lock:
            self._keep(self._made | made, self._closed, self._begun - {spec})

    def add(self, gpu_uuid: str, gi_id: int) -> None:
        """We are to take it for one that we have made."""
        with self._lock:
            self._keep(self._made | {(gpu_uuid, gi_id)}, self._closed, self._begun)

    def remove(self, gpu_uuid: str, gi_id: int) -> None:
        """It is gone."""
        with self._lock:
            self._keep(self._made - {(gpu_uuid, gi_id)}, self._closed, self._begun)

    def close(self, gpu_uuid: str, uid: int) -> None:
        """The GPU is that user's alone."""
        with self._lock:
            self._keep(self._made, {**self._closed, gpu_uuid: uid}, self._begun)

    def reopen(self, gpu_uuid: str) -> None:
        """It is everybody's."""
        with self._lock:
            others = {uuid: uid for uuid, uid in self._closed.items() if uuid != gpu_uuid}
            self._keep(self._made, others, self._begun)

    def _read(self) -> _Kept:
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept(boot_id())
        except msgspec.MsgspecError as error:
            raise errors.CorruptLog(
                "The register of instances cannot be read",
                situation=f"{self._file}: {error}",
                next_step="If no kernel runs on a slice, remove the file.",
            ) from error
        return kept if kept.boot_id == boot_id() else _Kept(boot_id())

    def _keep(
        self, made: frozenset[tuple[str, int]], closed: dict[str, int], begun: frozenset[Spec]
    ) -> None:
        """Let that be all, on file first."""
        try:
            self._write(_Kept(boot_id(), tuple(sorted(made)), closed, begun))
        except OSError as error:
            raise errors.UnwritableLog(
                "The register of instances cannot be written",
                situation=f"{self._file}: {error.strerror}.",
                next_step="Make room there: nothing is made that would be forgotten.",
            ) from error
        self._made, self._closed, self._begun = made, closed, begun

    def _write(self, kept: _Kept) -> None:
        fresh = self._file.with_name(f"{self._file.name}.new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
