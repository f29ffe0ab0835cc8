"""Requests at random, and what becomes of them under a policy."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.placement.policies import A100, SIZES, Policy
from jupyter_mig.core.geometry import Profile, Spec
from jupyter_mig.core.occupancy import Occupancy

MIXES = {
    "uniform": (1 / 6,) * 6,
    "skew-small": (0.30, 0.25, 0.20, 0.10, 0.10, 0.05),
    "skew-big": (0.05, 0.10, 0.10, 0.20, 0.25, 0.30),
    "bimodal": (0.30, 0.15, 0.05, 0.05, 0.15, 0.30),
    "notebook": (0.50, 0.10, 0.20, 0.12, 0.03, 0.05),
}
WARM_UP = 0.1


class Request(NamedTuple):
    """One arrival: when, what, for how long."""

    at: float
    size: Profile
    holds: float


class Outcome(NamedTuple):
    """Shares of what arrived, in percent."""

    accepted_slices: float
    avoidable_rejections: float


def fits_after_repacking(counts: Sequence[int], gpus: int) -> bool:
    """Whether so many 1g, 1g+, 2g, 3g, 4g and 7g fit on that many GPUs, freely arranged. Exact and
    in constant time, for the A100 family.
    """
    n1, n1_double, n2, n3, n4, n7 = counts
    halves = gpus - n7
    in_right = min(n3, max(halves, 0))
    left, right = halves - n4 - (n3 - in_right), halves - in_right
    if halves < 0 or left < 0:
        return False
    in_special = min(n1_double, right)
    pairs = 2 * left + right - n2 - (n1_double - in_special)
    return pairs >= 0 and n1 <= 2 * pairs + right - in_special


class Workload(NamedTuple):
    """How requests come; ``mix`` names their sizes' shares."""

    mix: str
    load: float
    arrivals: int
    seed: int


def requests_of(workload: Workload, gpus: int) -> list[Request]:
    """The requests, with holding times of mean 1."""
    draw = random.Random(f"{workload.seed} {gpus}")
    mix = MIXES[workload.mix]
    mean = sum(share * size.width for share, size in zip(mix, SIZES, strict=True))
    rate = workload.load * A100.units * gpus / mean
    now, requests = 0.0, []
    for size in draw.choices(SIZES, mix, k=workload.arrivals):
        now += draw.expovariate(rate)
        requests.append(Request(now, size, draw.expovariate(1.0)))
    return requests


class Replay:
    """A node under one policy; with none, everything is rearranged whenever that helps."""

    def __init__(self, gpus: int, policy: Policy | None) -> None:
        self.node = [Occupancy(A100) for _ in range(gpus)]
        self.policy = policy
        self.held = {size.profile_id: 0 for size in SIZES}
        self.leaving: list[tuple[float, int, Spec]] = []

    def let_leave(self, now: float) -> None:
        """Those whose time is over give their slices back."""
        while self.leaving and self.leaving[0][0] <= now:
            _, _, spec = heapq.heappop(self.leaving)
            self.held[spec.profile_id] -= 1
            if self.policy is not None:
                gpu = self.node[int(spec.gpu_uuid)]
                gpu.mask &= ~(A100.window(spec) or 0)
                gpu.counts[spec.profile_id] -= 1

    def would_fit(self, size: Profile) -> bool:
        """Whether this one would fit too if everything could be moved."""
        counts = [self.held[each.profile_id] + (each is size) for each in SIZES]
        return fits_after_repacking(counts, len(self.node))

    def take(self, number: int, request: Request) -> bool:
        """Place a request if there is a place."""
        size = request.size
        if self.policy is None:
            spec = Spec("0", size.profile_id, 0) if self.would_fit(size) else None
        else:
            spec = self.policy(self.node, size)
            if spec is not None:
                self.node[int(spec.gpu_uuid)].add(spec)
        if spec is not None:
            self.held[size.profile_id] += 1
            heapq.heappush(self.leaving, (request.at + request.holds, number, spec))
        return spec is not None


def replay(requests: Sequence[Request], gpus: int, policy: Policy | None) -> Outcome:
    """What becomes of the requests; the first tenth only fills the node."""
    run = Replay(gpus, policy)
    asked = accepted = avoidable = 0
    first = int(len(requests) * WARM_UP)
    for number, request in enumerate(requests):
        run.let_leave(request.at)
        taken = run.take(number, request)
        if number >= first:
            asked += request.size.width
            accepted += request.size.width * taken
            avoidable += not taken and run.would_fit(request.size)
    return Outcome(100 * accepted / asked, 100 * avoidable / (len(requests) - first))
