from __future__ import annotations

from jupyter_mig.hub.picture import Reader, page, trouble
from jupyter_mig.wire.administration import AnyLeaseView
from jupyter_mig.wire.messages import NodeView, SizeCount

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


def test_a_user_sees_his_own() -> None:
    """No name, notebook or number of anybody else's; how many wait is everybody's business."""
    shown = page(Reader("alice", admin=False), NODE, LEASES)
    assert "hers.ipynb" in shown
    assert all(word not in shown for word in ("bob", "his.ipynb", "next.ipynb", "nobodys"))
    assert "1 in line on this node" in shown
    assert "simulated" in shown


def test_an_administrator_sees_all() -> None:
    """Also those whose owner has no account on the node."""
    shown = page(Reader("root", admin=True), NODE, LEASES)
    assert all(lease.label in shown for lease in LEASES)
    assert f"uid {2**31 + 5}" in shown


def test_who_has_no_name_sees_nothing() -> None:
    """Least of all the leases of those who have none either."""
    assert "ipynb" not in page(Reader("", admin=False), NODE, LEASES)


def test_names_are_no_html() -> None:
    """A notebook may be called anything."""
    attack = "<script>alert(1)</script>&\"'"
    shown = page(Reader("alice", admin=True), NODE, [_lease("alice", attack)])
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "<img" not in trouble("<img src=x>\nb")
