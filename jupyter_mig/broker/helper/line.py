"""The line between broker and helper: a pair of sockets that keeps messages apart, inherited by
both, with no name that others could connect to.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import BoundedSemaphore

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.helper import verbs
from jupyter_mig.broker.helper.helper import Helper

log = logging.getLogger(__name__)

LONGEST_BYTES = 1 << 20
"""Of one message. The longest is the description of eight GPUs with all their profiles."""

THREADS = 16
"""How many verbs are carried out at a time: calls on different GPUs do not wait for each other."""


MOST_AT_HAND = 1024
"""How many verbs are taken in before the first of them is answered: far more than a broker asks at
a time. Whoever asks for more waits, and root's memory stays as it is.
"""


def make() -> tuple[socket.socket, socket.socket]:
    """The broker's end and the helper's."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_BYTES)
    return ends


def serve(end: socket.socket, helper: Helper) -> None:
    """Carry out what comes until the broker is gone. What is no verb ends the helper: the broker
    that we started says no such thing.
    """
    room = BoundedSemaphore(MOST_AT_HAND)

    def answer(request: verbs.Request) -> None:
        reply = verbs.Reply(request.number, _outcome(helper, request.verb))
        with suppress(BrokenPipeError, ConnectionResetError):  # the broker has gone meanwhile
            end.send(msgspec.json.encode(reply))

    with end, ThreadPoolExecutor(THREADS, "verb") as workers:
        try:
            for request in _requests(end):
                room.acquire()
                workers.submit(answer, request).add_done_callback(lambda _: room.release())
        finally:
            end.shutdown(socket.SHUT_RDWR)  # or an answer that nobody reads would be waited for


def _outcome(helper: Helper, verb: verbs.Verb) -> verbs.Outcome:
    try:
        return helper.do(verb)
    except Exception as error:
        # A bug, but the broker waits for an answer, and other GPUs' verbs must go on.
        log.exception("%r failed in a way that it must not", verb)
        return verbs.Failed(errors.DriverError.kind, f"The helper failed: {type(error).__name__}")


def _requests(end: socket.socket) -> Iterator[verbs.Request]:
    while message := end.recv(LONGEST_BYTES):
        yield msgspec.json.decode(message, type=verbs.Request)
