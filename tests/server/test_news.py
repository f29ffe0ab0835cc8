"""What is told of slices, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jupyter_mig.server.news import Course, KernelNow, Moment, News, news
from jupyter_mig.wire.messages import ErrorBody, LeaseView, SliceReadingsView, SliceView

GIB = 2**30
GPU = "GPU-1"
SLICE = SliceView("MIG-1", "1g.5gb", 5 * GIB, 14, GPU, 0, "A100", 7)
LOST = ErrorBody("lease-ended", "The 1g.5gb slice is gone from its GPU.")


def lease(state: Any, lease_id: str = "lease", **more: Any) -> LeaseView:
    """A lease of the only kernel's."""
    mine = None if state == "waiting" else SLICE
    return LeaseView(lease_id, "kernel", state, 1, "1g.5gb", "deep/train.ipynb", 0.0, mine, **more)


def waits(at: float, since: float = 0.0) -> Moment:
    """The kernel waits, the second in line."""
    kernel = KernelNow("kernel", waiting_since=since)
    return Moment(at, (kernel,), (lease("waiting", place=2),))


def runs(at: float, used: float = 0.0, idle_seconds: float | None = None, **load: float) -> Moment:
    """The kernel has its slice, ``used`` of whose memory is in use."""
    reading = SliceReadingsView("i1", int(used * 5 * GIB), 5 * GIB, "", load)
    kernel = KernelNow("kernel", "lease", None, idle_seconds)
    return Moment(at, (kernel,), (lease("bound"),), {"lease": reading})


def told(*moments: Moment, idle_after_seconds: float = 0) -> list[News]:
    """Everything that is told in the course of these looks."""
    courses: dict[str, Course] = {}
    all_of_it: list[News] = []
    for moment in moments:
        items, courses = news(courses, moment, idle_after_seconds)
        all_of_it += items
    return all_of_it


def kinds(*moments: Moment, idle_after_seconds: float = 0) -> list[str]:
    """The kinds of all that."""
    return [item.kind for item in told(*moments, idle_after_seconds=idle_after_seconds)]


def test_a_wait_and_its_end() -> None:
    """Each is told once, with the place and the time."""
    waiting, granted = told(waits(1), waits(4), waits(6), waits(200), runs(240), runs(250))
    assert (waiting.kind, waiting.place, waiting.label) == ("waiting", 2, "deep/train.ipynb")
    assert waiting.message == "train.ipynb waits for a 1g.5gb slice, 2nd in line."
    assert granted.message == "train.ipynb has its 1g.5gb slice, after 4 min in line."


def test_a_short_wait_is_no_news() -> None:
    """Making a slice takes a second, too."""
    assert kinds(waits(1), waits(2.9), runs(2.95)) == []


def test_a_refusal_is_told_in_its_own_words() -> None:
    """Once; but not if the user called the wait off."""
    refusal = ErrorBody("out-of-patience", "No slice came free.", "Free now: 1 x 2g.", "Pick it.")
    failed = Moment(60, (KernelNow("kernel", failure=refusal),))
    _, refused = told(waits(10), failed, failed)
    assert (refused.kind, refused.lease_id) == ("refused", "lease")
    assert (refused.message, refused.next_step) == (
        "No slice came free.",
        "Free now: 1 x 2g. Pick it.",
    )
    cancelled = KernelNow("kernel", failure=ErrorBody("cancelled", "Taken back."))
    assert kinds(waits(10), Moment(60, (cancelled,))) == ["waiting"]
    (at_once,) = told(failed)
    assert (at_once.kind, at_once.lease_id, at_once.label) == ("refused", "", "")


def test_a_slice_lost_under_a_kernel() -> None:
    """With the broker's reason; without one it was given back by somebody."""
    over = Moment(20, (KernelNow("kernel", "lease"),), ended={"lease": LOST})
    (lost,) = told(runs(10), over, over)
    assert (lost.kind, lost.lease_id) == ("lost", "lease")
    assert lost.message == (
        "train.ipynb has lost its slice. The 1g.5gb slice is gone from its GPU."
    )
    assert kinds(runs(10), replace(over, ended={"lease": None})) == ["released"]


def test_what_the_user_did_himself_is_no_news() -> None:
    """A kernel being shut down, or gone from the list, or of a lease never seen."""
    ending = KernelNow("kernel", "lease", ending=True)
    assert kinds(runs(10), Moment(20, (ending,), ended={"lease": None}), Moment(30)) == []
    assert kinds(Moment(20, (KernelNow("kernel", "lease"),), ended={"lease": LOST})) == []


def test_a_kernel_that_died_for_good() -> None:
    """Its slice is free, which nobody asked for."""
    died = Moment(20, (KernelNow("kernel", died=True),))
    items, after = news(news({}, runs(10))[1], died)
    assert [item.kind for item in items] == ["released"]
    assert after == {}


def test_a_kernel_that_is_not_started_again() -> None:
    """Why is told, once, and not that it died."""
    died = Moment(20, (KernelNow("kernel", failure=LOST, died=True),))
    assert [item.kind for item in told(runs(10), died)] == ["lost"]
    over = Moment(15, (KernelNow("kernel", "lease"),), ended={"lease": LOST})
    assert kinds(runs(10), over, died) == ["lost"]


def test_who_waits_for_himself_is_told_so() -> None:
    """What he holds, by which rule; the place in line would be of no use to him."""
    kernel = KernelNow("kernel", waiting_since=0)
    over = "You hold 1 slice. Rule 1 (*): at most 1 slice."
    (item,) = told(Moment(4, (kernel,), (lease("waiting", place=1, over_quota=over),)))
    assert item.message == "train.ipynb waits for a 1g.5gb slice until one of yours ends."
    assert item.next_step == over


def _left(seconds: float) -> Moment:
    kernel = KernelNow("kernel", "lease")
    view = lease("bound", ends_in_seconds=seconds, rule="rule 1 (*)")
    return Moment(3600 - seconds, (kernel,), (view,))


def test_the_end_of_a_lifetime_is_told_beforehand() -> None:
    """Ten minutes before, and two; once each. One that is shorter has one warning."""
    first, second = told(*map(_left, (900, 601, 595, 300, 121, 119, 30, 1)))
    assert (first.kind, first.ends_in_seconds, second.ends_in_seconds) == ("ending", 595, 119)
    assert first.message == "The 1g.5gb slice of train.ipynb ends in 10 min by rule 1 (*)."
    assert kinds(_left(100), _left(90)) == ["ending"]


def test_a_gpu_that_gets_a_problem() -> None:
    """The slices on it are told of once, and again if it comes back."""
    problem = ErrorBody("gpu-lost", "GPU 0: it fell off the bus.", "", "Reset it.")
    bad = replace(runs(20), problems={GPU: problem})
    (lost,) = told(runs(10), bad, bad)
    assert (lost.kind, lost.next_step) == ("lost", "Reset it.")
    assert kinds(bad, runs(30), bad) == ["lost", "lost"]


def test_nearly_full() -> None:
    """Told at 90 per cent, and again only after less than 80."""
    (full,) = told(runs(1, 0.5), runs(2, 0.92), runs(3, 0.85), runs(4, 0.95))
    assert (full.kind, full.memory_total_bytes) == ("nearly-full", 5 * GIB)
    assert full.message == "train.ipynb uses 4.6 GiB of the 5.0 GiB of its slice."
    assert kinds(runs(1, 0.95), runs(2, 0.7), runs(3, 0.9)) == ["nearly-full"] * 2
    unknown = SliceReadingsView("i1", None, None, "no permission")
    assert kinds(replace(runs(1), readings={"lease": unknown})) == []


def test_an_idle_kernel() -> None:
    """Once per idle stretch, saying what it holds; never if it is not to be told."""
    stretch = [runs(at, 0.3, float(at)) for at in (60, 1790, 1801, 1900)]
    (idle,) = told(*stretch, idle_after_seconds=1800)
    assert idle.idle_seconds == 1801
    assert idle.message == (
        "train.ipynb holds a 1g.5gb slice, with 1.5 GiB in use on it, unused for 30 min."
    )
    again = [*stretch, runs(2000), runs(4000, 0.0, 1900.0)]
    assert kinds(*again, idle_after_seconds=1800) == ["idle", "idle"]
    assert kinds(*again) == []


def test_what_is_measured_counts() -> None:
    """A kernel that computes without its slice is told of, one that left work on it is not."""
    computing = [runs(at, sm=0.0, dram=0.2) for at in (0, 900, 1801)]
    assert kinds(*computing, idle_after_seconds=1800) == ["idle"]
    working = [runs(at, 0.0, float(at), sm=40.0) for at in (0, 900, 1801)]
    assert kinds(*working, idle_after_seconds=1800) == []


def test_another_lease_begins_anew() -> None:
    """After a restart on another slice, whatever was told of the old one may be told of it."""
    other = lease("bound", "other")
    full = SliceReadingsView("i2", 5 * GIB, 5 * GIB)
    moment = Moment(9, (KernelNow("kernel", "other"),), (other,), {"other": full})
    assert kinds(runs(1, 0.95), moment) == ["nearly-full", "nearly-full"]


STEPS = st.tuples(
    st.sampled_from(["waits", "runs", "over", "failed"]),
    st.floats(0.1, 100),
    st.floats(0, 1),
    st.one_of(st.none(), st.floats(0, 5000)),
    st.dictionaries(st.sampled_from(["sm", "dram"]), st.floats(0, 100)),
)


def _moment(step: tuple[Any, ...], at: float) -> Moment:
    what, _, used, idle, load = step
    if what == "waits":
        return waits(at)
    if what == "over":
        return Moment(at, (KernelNow("kernel", "lease"),), ended={"lease": LOST})
    if what == "failed":
        return Moment(at, (KernelNow("kernel", failure=LOST),))
    return runs(at, used, idle, **load)


@given(st.lists(STEPS, max_size=12))
def test_whatever_happens(steps: list[tuple[Any, ...]]) -> None:
    """Looking twice tells nothing twice; ends are told once; fullness and idleness only after
    there was less; nothing is told of other kernels.
    """
    courses: dict[str, Course] = {}
    at = 0.0
    counts: dict[str, int] = {}
    rearmed = {"nearly-full": True, "idle": True}
    for step in steps:
        at += step[1]
        moment = _moment(step, at)
        items, courses = news(courses, moment, 1800)
        again, same = news(courses, moment, 1800)
        assert (again, same) == ([], courses)
        for item in items:
            counts[item.kind] = counts.get(item.kind, 0) + 1
            assert item.kernel_id == "kernel"
            assert item.message
            if item.kind in rearmed:
                assert rearmed[item.kind]
                rearmed[item.kind] = False
        if step[0] == "runs":
            rearmed["nearly-full"] |= step[2] < 0.8
            used = max(step[4].values(), default=0) >= 1 or (not step[4] and step[3] is None)
            rearmed["idle"] |= used
    assert counts.get("waiting", 0) <= 1
    assert counts.get("lost", 0) <= 1
    assert counts.get("refused", 0) <= 2  # one before there was a lease


@pytest.mark.parametrize("place", [1, 2, 3, 4, 11, 12, 13, 21, 112])
def test_places_are_spelled(place: int) -> None:
    """As people write them."""
    spelled = {1: "next", 2: "2nd", 3: "3rd", 4: "4th", 21: "21st", 112: "112th"}
    moment = Moment(9, (KernelNow("kernel", waiting_since=0.0),), (lease("waiting", place=place),))
    (item,) = told(moment)
    assert f"{spelled.get(place, f'{place}th')} in line" in item.message
