"""How fairly 200 users are served who want more than there is, in virtual time.

Most of them ask for one slice, hold it, and think before they ask again; some always have many
requests in line. Sizes and times are drawn at random, the same for every order that is compared:
ours, and first come, first served. The ledger is the broker's own; the driver answers at once, so
that all times are those of the queue. No GPU is involved, simulated or real.

Printed for each order: the waits of those who ask for one at a time (median, longest, and the one
divided by the other), Jain's index of how many slices these users were given, and of how much GPU
time (1.0: all the same; the sizes and times that they draw are not), and the longest time for which
any user had a request in line and was given nothing. Exit code 1 if that is longer than
``--starved`` in our order.

    python -m benchmarks.fairness [--users 200] [--greedy 20] [--gpus 8] [--hours 72] [--seed 1]
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

from benchmarks.placement.policies import A100, SIZES
from benchmarks.placement.replay import MIXES
from jupyter_mig.core import actions, events, fairness
from jupyter_mig.core.geometry import Gpu, Identity
from jupyter_mig.core.leases import Holder, Lease
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import State

HOUR = 3600.0
NAMES = [size.name for size in SIZES]
RULES = Rules(bind_grace=1e12)
"""Slices are held without a kernel until they are given back."""

Order = Callable[[State, Rules], list[Lease]]


class Crowd(NamedTuple):
    """Who asks. The first ``greedy`` of the users have ``flood`` requests in line at any time."""

    users: int
    greedy: int
    flood: int
    gpus: int
    hours: float
    seed: int
    held_hours: float = 0.5
    thought_hours: float = 2.0


class Figures(NamedTuple):
    """What came of it; times in hours."""

    median_wait: float
    longest_wait: float
    jain_turns: float
    jain_time: float
    longest_without: float
    served: int


class Node:
    """The ledger and a driver that answers at once. ``granted`` hears of each lease."""

    def __init__(self, gpus: int, granted: Callable[[str], None]) -> None:
        self.ledger = Ledger(RULES)
        self._granted = granted
        self._names = count(1)
        self.tell(events.BrokerStarted("boot"), 0.0)
        for index in range(gpus):
            gpu = Gpu(
                f"GPU-{index}", index, "A100", index, 40 * 2**30, mig_enabled=True, geometry=A100
            )
            self.tell(events.GpuObserved(gpu, creates=True), 0.0)

    def tell(self, event: events.AnyEvent, now: float) -> None:
        """Something happens, and all that follows from it."""
        for action in self.ledger.handle(event, now):
            if isinstance(action, actions.Grant):
                self._granted(action.lease_id)
            answer = self._answer(action)
            if answer is not None:
                self.tell(answer, now)

    def _answer(self, action: actions.AnyAction) -> events.AnyEvent | None:
        if isinstance(action, actions.CreateInstance):
            number = next(self._names)
            return events.InstanceCreated(action.instance_id, Identity(number, 0, f"MIG-{number}"))
        if isinstance(action, actions.ObserveOccupants):
            return events.OccupantsObserved(action.instance_id, ())
        if isinstance(action, actions.DestroyInstance):
            return events.InstanceDestroyed(action.instance_id)
        return None


class Day:
    """One run: users ask, hold, give back and think until the time is over."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._dice = [random.Random(f"{crowd.seed}-{user}") for user in range(crowd.users)]
        self._names = count(1)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._now = 0.0
        self._node = Node(crowd.gpus, self._granted)
        self._asked: dict[str, tuple[int, float]] = {}
        self._without: dict[int, float] = {}
        self.waits: dict[int, list[float]] = defaultdict(list)
        self.given: dict[int, float] = defaultdict(float)
        self.droughts: list[float] = []

    def run(self) -> Figures:
        """Everything in order of time."""
        for user in range(self._crowd.users):
            for _ in range(self._crowd.flood if user < self._crowd.greedy else 1):
                self._later(self._think(user) if user >= self._crowd.greedy else 0.0, user)
        while self._agenda and self._agenda[0][0] < self._crowd.hours * HOUR:
            self._now, _, happen = heapq.heappop(self._agenda)
            happen()
        for user in list(self._without):
            self._served(user)
        return self._figures()

    def _later(self, seconds: float, user: int) -> None:
        at = self._now + seconds
        heapq.heappush(self._agenda, (at, next(self._names), lambda: self._ask(user)))

    def _think(self, user: int) -> float:
        return self._dice[user].expovariate(1 / (self._crowd.thought_hours * HOUR))

    def _ask(self, user: int) -> None:
        name = f"l{next(self._names)}"
        (size,) = self._dice[user].choices(NAMES, MIXES["notebook"])
        self._asked[name] = (user, self._now)
        self._without.setdefault(user, self._now)
        ask = events.Ask(name, name, user, Holder(f"{user}"), size, patience_seconds=None)
        self._node.tell(events.SlicesRequested((ask,)), self._now)

    def _granted(self, name: str) -> None:
        user, asked_at = self._asked.pop(name)
        self.waits[user].append((self._now - asked_at) / HOUR)
        self._served(user)
        held = self._dice[user].expovariate(1 / (self._crowd.held_hours * HOUR))
        lease = self._node.ledger.state.leases[name]
        place = self._node.ledger.state.place_of(lease)
        if place is not None:
            width = A100.by_id[place.spec.profile_id].width / A100.units
            self.given[user] += width * held / HOUR
        back = (self._now + held, next(self._names), lambda: self._give_back(user, name))
        heapq.heappush(self._agenda, back)

    def _served(self, user: int) -> None:
        """The user was given something; if he still has requests in line, time begins anew."""
        since = self._without.pop(user, None)
        if since is not None:
            self.droughts.append((self._now - since) / HOUR)
        if any(who == user for who, _ in self._asked.values()):
            self._without[user] = self._now

    def _give_back(self, user: int, name: str) -> None:
        self._node.tell(events.LeaseReleased(name), self._now)
        self._later(self._think(user) if user >= self._crowd.greedy else 0.0, user)

    def _figures(self) -> Figures:
        modest = range(self._crowd.greedy, self._crowd.users)
        still = [
            (self._now - at) / HOUR
            for user, at in self._asked.values()
            if user >= self._crowd.greedy
        ]
        waits = [wait for user in modest for wait in self.waits[user]] + still
        if not any(self.waits[user] for user in modest):
            sys.exit("Nobody of those who ask for one was served in that time: more --hours.")
        return Figures(
            statistics.median(waits),
            max(waits),
            jain([len(self.waits[user]) for user in modest]),
            jain([self.given[user] for user in modest]),
            max(self.droughts),
            sum(len(each) for each in self.waits.values()),
        )


def jain(shares: Sequence[float]) -> float:
    """1.0 if all have the same, 1/n if one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


@contextmanager
def served_in(order: Order) -> Iterator[None]:
    """The line is served in another order."""
    ours = fairness.in_line
    setattr(fairness, "in_line", order)  # noqa: B010 - an experiment, not a way in
    try:
        yield
    finally:
        setattr(fairness, "in_line", ours)  # noqa: B010


def first_come(state: State, _rules: Rules) -> list[Lease]:
    """As if there were one owner."""
    return state.waiting()


def main() -> int:
    """Print the figures of both orders."""
    parser = argparse.ArgumentParser()
    for name, usual in (("users", 200), ("greedy", 20), ("flood", 10), ("gpus", 8), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--hours", type=float, default=72.0)
    parser.add_argument("--starved", type=float, default=24.0, help="hours")
    given = vars(parser.parse_args())
    starved = given.pop("starved")
    crowd = Crowd(**given)
    print(crowd)
    print("order       median h longest h longest/median  Jain: slices  time  without h  served")
    for name, order in (("fair", fairness.in_line), ("first come", first_come)):
        with served_in(order):
            found = Day(crowd).run()
        times = found.longest_wait / found.median_wait if found.median_wait else math.nan
        if name == "fair":
            without = found.longest_without
        print(
            f"{name:11} {found.median_wait:8.2f} {found.longest_wait:9.2f}"
            f" {times:14.1f}"
            f" {found.jain_turns:13.3f} {found.jain_time:5.3f}"
            f" {found.longest_without:10.2f} {found.served:7}"
        )
    return int(without > starved)


if __name__ == "__main__":
    sys.exit(main())
