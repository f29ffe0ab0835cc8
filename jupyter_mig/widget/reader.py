"""The one thread of a process that looks at its slice, however many monitors show it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Condition, Thread
from typing import Protocol
from weakref import WeakSet

import msgspec

from jupyter_mig.errors import JupyterMigError, LeaseEnded
from jupyter_mig.wire.messages import SliceNowView

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
"""How often it looks. The broker reads its slices at most once a second."""

STOP_SECONDS = 3.0
"""How long the end of the process waits for a look under way."""


class Sight(msgspec.Struct, frozen=True):
    """What was seen last, and what keeps us from seeing more, if anything does."""

    seen: SliceNowView | None = None
    trouble: JupyterMigError | None = None


class Follower(Protocol):
    """Who is shown what is seen."""

    def show(self, sight: Sight) -> None:
        """Called in the reader's thread, after each look."""


class Reader:
    """Looks while anybody follows; a thread of its own, so that it does while a cell runs.

    A follower that nobody else holds any more is forgotten, and without followers the thread ends.
    """

    def __init__(
        self, look: Callable[[], SliceNowView], every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._look = look
        self._every_seconds = every_seconds
        self._turn = Condition()
        self._followers: WeakSet[Follower] = WeakSet()
        self._thread: Thread | None = None
        self._hurry = False
        self._sight = Sight()

    def follow(self, follower: Follower) -> None:
        """Show ``follower`` what is seen, at once and from now on."""
        with self._turn:
            self._followers.add(follower)
            self._hurry = True
            self._turn.notify_all()
            # A process that was forked has this object without its thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="jupyter-mig-reader", daemon=True)
                self._thread.start()

    def leave(self, follower: Follower) -> None:
        """Show ``follower`` nothing more."""
        with self._turn:
            self._followers.discard(follower)
            self._turn.notify_all()

    def stop(self) -> None:
        """Forget all followers and see the thread end."""
        with self._turn:
            self._followers.clear()
            self._turn.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while self._goes_on():
            self._sight = self._see()
            self._show_all()

    def _goes_on(self) -> bool:
        """Wait for the next look; False if there is to be none: nobody follows, or all is over."""
        with self._turn:
            over = isinstance(self._sight.trouble, LeaseEnded)
            if not over:
                self._turn.wait_for(lambda: self._hurry or not self._followers, self._every_seconds)
            hurry, self._hurry = self._hurry, False
            if self._followers and (hurry or not over):
                return True
            self._thread = None
            return False

    def _see(self) -> Sight:
        try:
            return Sight(self._look())
        except JupyterMigError as error:
            return Sight(self._sight.seen, error)

    def _show_all(self) -> None:
        # Here and not in the loop, which would hold the last of them until the next look.
        with self._turn:
            followers = tuple(self._followers)
        for follower in followers:
            self._show(follower)

    def _show(self, follower: Follower) -> None:
        try:
            follower.show(self._sight)
        except Exception:  # whatever a front end's channel raises: the others go on being shown
            log.warning("A monitor cannot be shown any more", exc_info=True)
            self.leave(follower)
