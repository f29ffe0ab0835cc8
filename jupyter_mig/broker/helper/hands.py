"""The broker's end: verbs asked for from any thread, outcomes as values and errors."""

from __future__ import annotations

import itertools
import socket
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TypeVar

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.helper import verbs
from jupyter_mig.broker.helper.line import LONGEST_BYTES

Expected = TypeVar(
    "Expected",
    verbs.Described,
    verbs.Observed,
    verbs.Occupied,
    verbs.Claimed,
    verbs.Created,
    verbs.Done,
)


class Hands:
    """The helper, as the broker uses it. Its calls block; each raises DriverError if the helper
    is gone. ``gone`` is done when it is.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._numbers = itertools.count()
        self._lock = Lock()
        self._asked: dict[int, Future[verbs.Outcome]] = {}
        self.gone: Future[None] = Future()
        self._reader = Thread(target=self._read, name="helper", daemon=True)
        self._reader.start()

    def ask(self, verb: verbs.Verb, expected: type[Expected]) -> Expected:
        """Have it done. Raises what the helper's driver raised."""
        outcome = self._send(verb).result()
        if isinstance(outcome, verbs.Failed):
            raise _error(outcome)
        if not isinstance(outcome, expected):
            raise errors.DriverError(
                "The helper answered something else", situation=type(outcome).__name__
            )
        return outcome

    def close(self) -> None:
        """Let the helper go: it ends."""
        self._end.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._end.close()

    def _send(self, verb: verbs.Verb) -> Future[verbs.Outcome]:
        answer: Future[verbs.Outcome] = Future()
        with self._lock:
            number = next(self._numbers) % 2**32
            if self.gone.done():
                answer.set_result(_NOBODY)
                return answer
            self._asked[number] = answer
        try:
            self._end.send(msgspec.json.encode(verbs.Request(number, verb)))
        except OSError:
            self._lose()
        return answer

    def _read(self) -> None:
        try:
            while message := self._end.recv(LONGEST_BYTES):
                reply = msgspec.json.decode(message, type=verbs.Reply)
                with self._lock:
                    answer = self._asked.pop(reply.number)
                answer.set_result(reply.outcome)
        except (OSError, KeyError, msgspec.MsgspecError):
            pass
        self._lose()

    def _lose(self) -> None:
        """Nobody will answer any more."""
        with self._lock:
            asked, self._asked = self._asked, {}
            if not self.gone.done():
                self.gone.set_result(None)
        for answer in asked.values():
            answer.set_result(_NOBODY)


_NOBODY = verbs.Failed(
    errors.DriverError.kind,
    "The privileged helper is gone",
    next_step="Restart the service jupyter-mig; its log says why it ended.",
)


def _error(failed: verbs.Failed) -> errors.JupyterMigError:
    error = errors.rebuild(failed.kind, failed.message, failed.situation, failed.next_step)
    if isinstance(error, errors.DriverError):
        error.code, error.call = failed.code, failed.call
    return error
