"""The instances this helper has made, on file: it destroys no others, whatever it is asked."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.processes import boot_id


class _Kept(msgspec.Struct, frozen=True):
    boot_id: str
    made: tuple[tuple[str, int], ...]


class Register:
    """GPU UUIDs and GPU instance ids, of this boot: no instance outlives a boot.

    The file belongs to root, in a directory of root's. One that cannot be read is an error, not an
    empty register: nothing would ever be destroyed again.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._made = set(self._read())

    @property
    def made(self) -> frozenset[tuple[str, int]]:
        """All of them."""
        return frozenset(self._made)

    def holds(self, gpu_uuid: str, gi_id: int) -> bool:
        """Whether we made it."""
        return (gpu_uuid, gi_id) in self._made

    def add(self, gpu_uuid: str, gi_id: int) -> None:
        """We have made it."""
        self._made.add((gpu_uuid, gi_id))
        self._write()

    def remove(self, gpu_uuid: str, gi_id: int) -> None:
        """It is gone."""
        self._made.discard((gpu_uuid, gi_id))
        self._write()

    def _read(self) -> tuple[tuple[str, int], ...]:
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return ()
        except msgspec.MsgspecError as error:
            raise errors.CorruptLog(
                "The register of instances cannot be read",
                situation=f"{self._file}: {error}",
                next_step="If no kernel runs on a slice, remove the file.",
            ) from error
        return kept.made if kept.boot_id == boot_id() else ()

    def _write(self) -> None:
        fresh = self._file.with_name(f"{self._file.name}.new")
        kept = _Kept(boot_id(), tuple(sorted(self._made)))
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
