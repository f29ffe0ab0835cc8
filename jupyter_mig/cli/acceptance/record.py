"""What an acceptance run leaves behind: a file to keep, to send, and to replay in tests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from jupyter_mig import __version__, errors
from jupyter_mig.cli.acceptance.trials import Trial
from jupyter_mig.nvml.transcripts.transcript import Transcript


class Record(msgspec.Struct, frozen=True):
    """The results, and every NVML call that led to them. ``gpu_index`` is NVML's."""

    simulated: bool
    driver_version: str
    gpu_name: str
    gpu_index: int
    complete: bool
    trials: Sequence[Trial]
    left_behind: Sequence[str]
    transcript: Transcript
    version: str = __version__


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Make the file, empty, before anything is done to a GPU; raises if it is there already.

    If the block fails, the file goes.
    """
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        raise errors.BadRequest(
            f"{path} is there already.", next_step="Name another file: --output FILE"
        ) from None
    except OSError as error:
        raise errors.JupyterMigError(
            f"Cannot write {path}: {error.strerror}.", next_step="Name another: --output FILE"
        ) from error
    try:
        yield
    except BaseException:
        path.unlink()
        raise


def write(record: Record, path: Path) -> None:
    """Put the record where it was claimed."""
    path.write_bytes(msgspec.json.encode(record) + os.linesep.encode())


def read(path: Path) -> Record:
    """A record that was written."""
    return msgspec.json.decode(path.read_bytes(), type=Record)
