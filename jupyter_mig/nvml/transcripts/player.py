"""A library that answers as another one did once.

Calls that change the hardware must come in the recorded order. Between two of them, questions may
come in any order and any number: each is answered as it was answered there, the last answer for
good. So a driver may change how it looks, and not what it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from jupyter_mig.nvml.facts import SIMULATION_MARK

from .ctypes_values import fill, seen, target
from .exchange import exchanged
from .transcript import Call, Transcript

_CHANGES = ("Create", "Destroy", "SetMigMode")
_SESSION = frozenset({"nvmlInit", "nvmlInit_v2", "nvmlInitWithFlags", "nvmlShutdown"})


class Mismatch(AssertionError):
    """The transcript has no such call at this point: the program does something else by now."""


class _Epoch:
    """The time up to the next change."""

    def __init__(self) -> None:
        self.answers: dict[bytes, list[Call]] = {}
        self.change: Call | None = None

    def answer(self, key: bytes) -> Call | None:
        """The next answer to a question; the last one again and again."""
        answers = self.answers.get(key, [])
        return answers.pop(0) if len(answers) > 1 else next(iter(answers), None)


class Player:
    """Has the functions of the transcript as attributes. It is no hardware either, and says so."""

    def __init__(self, transcript: Transcript) -> None:
        setattr(self, SIMULATION_MARK, True)
        self._missing = frozenset(transcript.missing)
        self._epochs = _epochs(transcript)

    def __getattr__(self, name: str) -> Any:
        if name in self._missing or not name.startswith("nvml"):
            raise AttributeError(name)
        return Played(name, self)

    def answer(self, name: str, given: tuple[Any, ...]) -> Call:
        """What the library answered. Raises Mismatch."""
        if name in _SESSION:
            return Call(name)
        epoch, key = self._epochs[0], _key(name, given)
        if not _is_change(name):
            found = epoch.answer(key)
        elif epoch.change is not None and _key(epoch.change.name, epoch.change.given) == key:
            found = epoch.change
            self._epochs.pop(0)
        else:
            found = None
        if found is None:
            expected = epoch.change and f"{epoch.change.name}{epoch.change.given}"
            raise Mismatch(
                f"{name}{given} is not in the transcript here; the next change is {expected}"
            )
        return found


class Played:
    """One function. ``restype`` may be set, as on any ctypes function."""

    restype: Any = None

    def __init__(self, name: str, player: Player) -> None:
        self._name, self._player = name, player

    def __call__(self, *arguments: Any) -> Any:
        """Write what was written then, and return the code."""
        if self._name == "nvmlErrorString":
            return b"as recorded"
        targets = [target(argument) for argument in arguments]
        call = self._player.answer(self._name, tuple(seen(one) for one in targets))
        for index, value in call.told.items():
            fill(targets[index], value)
        return call.code


@contextmanager
def played(transcript: Transcript) -> Iterator[None]:
    """Have pynvml ask the transcript until the block ends."""
    with exchanged(Player(transcript)):
        yield


def _epochs(transcript: Transcript) -> list[_Epoch]:
    epochs = [_Epoch()]
    for call in transcript.calls:
        if _is_change(call.name):
            epochs[-1].change = call
            epochs.append(_Epoch())
        else:
            epochs[-1].answers.setdefault(_key(call.name, call.given), []).append(call)
    return epochs


def _is_change(name: str) -> bool:
    return any(word in name for word in _CHANGES)


def _key(name: str, given: tuple[Any, ...]) -> bytes:
    return msgspec.json.encode([name, given])
