from __future__ import annotations

import msgspec

from jupyter_mig.hub.picture import Picture, Reader, page, trouble
from jupyter_mig.wire.administration import AnyLeaseView, IntervalView
from jupyter_mig.wire.messages import AllowanceView, NodeView, SizeCount

NODE = NodeView("simulated:x", True, (), (SizeCount("1g.5gb", 3, 7, 1, 1, 1),), 1)


def _lease(user: str, label: str, state: str = "bound", uid: int = 1000) -> AnyLeaseView:
    waiting = state == "waiting"
    return AnyLeaseView(
        lease_id="l",
        user=user,
        uid=uid,
        label=label,
        state=state,  # type: ignore[arg-type]  # one of the states
        size="1g.5gb",
        profile="" if waiting else "1g.5gb",
        mig_uuid="" if waiting else "MIG-1",
        gpu_uuid="" if waiting else "GPU-1",
        gpu_index=None if waiting else 0,
        kernel_pid=None,
        held_seconds=90.0,
    )


LEASES = [
    _lease("alice", "hers.ipynb"),
    _lease("bob", "his.ipynb"),
    _lease("bob", "next.ipynb", "waiting"),
    _lease("", "nobodys.ipynb", uid=2**31 + 5),
]


def _past(user: str, until: float | None, reason: str, uid: int = 1000) -> IntervalView:
    return IntervalView("l", uid, "2g.10gb", "MIG-1", "GPU-1", 1e9, until, reason, user=user)


PAST = [
    _past("alice", 1e9 + 600, "hers was released"),
    _past("alice", None, "still hers"),
    _past("bob", 1e9 + 60, "his was revoked"),
    _past("root", 1e9 + 60, "roots was released", uid=0),
]


def test_a_user_sees_his_own() -> None:
    """No name, notebook or number of anybody else's; how many wait is everybody's business."""
    shown = page(Reader("alice", admin=False), Picture(NODE, LEASES, PAST))
    assert "hers.ipynb" in shown
    assert all(word not in shown for word in ("bob", "his.ipynb", "next.ipynb", "nobodys"))
    assert "1 in line on this node" in shown
    assert "simulated" in shown


def test_an_administrator_sees_all() -> None:
    """Also those whose owner has no account on the node."""
    shown = page(Reader("root", admin=True), Picture(NODE, LEASES, PAST))
    assert all(lease.label in shown for lease in LEASES)
    assert f"uid {2**31 + 5}" in shown


def test_who_has_no_name_sees_nothing() -> None:
    """Least of all the leases of those who have none either."""
    assert "ipynb" not in page(Reader("", admin=False), Picture(NODE, LEASES, PAST))


def test_a_user_sees_what_he_could_start() -> None:
    """And by which rule no more; an administrator sees what is free, whoever may have it."""
    small = SizeCount("1g.5gb", 2, 7, 1, 1, 1, unclaimed=5)
    large = SizeCount("7g.40gb", 0, 1, 1, 1, 1, unclaimed=1, not_allowed="rule 1 (*)")
    allowance = AllowanceView("rule 1 (*)", "at most 3 slices", "1 slice, 0.125 of a GPU")
    node = msgspec.structs.replace(NODE, sizes=(small, large), allowance=allowance)
    shown = page(Reader("alice", admin=False), Picture(node, LEASES, PAST))
    assert "What you could start now" in shown
    assert "<td>1g.5gb</td><td>2</td>" in shown
    assert "7g.40gb" not in shown
    assert "By rule 1 (*): at most 3 slices. You hold 1 slice, 0.125 of a GPU." in shown
    everything = page(Reader("root", admin=True), Picture(node, LEASES, PAST))
    assert "Free now" in everything
    assert "<td>1g.5gb</td><td>5</td>" in everything
    assert "rule 1" not in everything


def test_a_user_sees_in_how_long_his_slice_ends() -> None:
    """Where a rule gives it an end; nothing is said of ends where nobody has one."""
    ending = msgspec.structs.replace(LEASES[0], ends_in_seconds=8 * 3600 - 1.0)
    assert "<td>1 min</td><td>7 h 59 min</td><td>bound</td>" in page(
        Reader("alice", admin=False), Picture(NODE, [ending])
    )
    assert "ends in" not in page(Reader("alice", admin=False), Picture(NODE, LEASES))


def test_names_are_no_html() -> None:
    """A notebook may be called anything."""
    attack = "<script>alert(1)</script>&\"'"
    shown = page(Reader("alice", admin=True), Picture(NODE, [_lease("alice", attack)], PAST))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "<img" not in trouble("<img src=x>\nb")


def test_what_has_been_is_seen_by_whose_it_was() -> None:
    """The last one first, with how long it was and how it ended; what is not over is above."""
    shown = page(Reader("alice", admin=False), Picture(NODE, LEASES, PAST))
    assert "<td>2001-09-09 01:46</td><td>10 min</td><td>hers was released</td>" in shown
    assert all(word not in shown for word in ("still hers", "his was", "roots was"))
    everything = page(Reader("boss", admin=True), Picture(NODE, LEASES, PAST))
    assert everything.index("hers was") < everything.index("his was")
    assert "roots was" in everything


def test_nobody_is_root_because_the_hub_calls_him_so() -> None:
    """Root's slices are for administrators."""
    leases = [_lease("root", "roots.ipynb", uid=0)]
    assert "roots" not in page(Reader("root", admin=False), Picture(NODE, leases, PAST))


def test_a_user_without_an_account_is_not_one_with_the_same_name() -> None:
    """The node calls him otherwise."""
    leases = [_lease("alice", "of-the-node.ipynb"), _lease("hub:alice", "of-the-hub.ipynb")]
    shown = page(Reader("hub:alice", admin=False), Picture(NODE, leases, PAST))
    assert "of-the-hub.ipynb" in shown
    assert "of-the-node.ipynb" not in shown
    assert "hers was released" not in shown
