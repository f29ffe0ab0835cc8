from __future__ import annotations

import msgspec
import pytest

from jupyter_mig import errors
from jupyter_mig.broker.door.refusals import Refusals
from jupyter_mig.core import events
from jupyter_mig.core.actions import CreateInstance
from jupyter_mig.core.geometry import Geometry, Gpu, Identity, Profile
from jupyter_mig.core.leases import EndReason, Holder, Lease
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.rules import Rules

ME, OTHER = 1000, 2000
RULES = Rules()
GIGABYTE = 2**30


def profile(number: int, name: str, width: int, starts: tuple[int, ...]) -> Profile:
    """A profile; all that placement needs of it."""
    return Profile(
        number, name, width * 5 * GIGABYTE, 14 * width, width, len(starts), width, starts
    )


A100 = Geometry(
    (
        profile(19, "1g.5gb", 1, (0, 1, 2, 3, 4, 5, 6)),
        profile(14, "2g.10gb", 2, (0, 2, 4)),
        profile(9, "3g.20gb", 4, (0, 4)),
        profile(0, "7g.40gb", 8, (0,)),
    )
)


class Node:
    """A ledger with one GPU, on which instances are made at once."""

    def __init__(
        self, geometry: Geometry = A100, *, creates: bool = True, mig: bool = True
    ) -> None:
        self.ledger = Ledger(RULES)
        self.now = 0.0
        self.leases = 0
        gpu = Gpu("GPU-1", 0, "A100", 0, 40 * GIGABYTE, mig, geometry)
        self.ledger.handle(events.GpuObserved(gpu, creates), self.now)

    def lease(
        self,
        size: str,
        label: str = "",
        owner: int = ME,
        patience: float = 0,
        *,
        limits: Limits | None = None,
    ) -> Lease:
        """A lease for which an instance is made if there is room."""
        self.leases += 1
        name = f"l{self.leases}"
        ask = events.Ask(
            *(name, f"kernel-{name}", owner, Holder("1:1"), size, label, patience), limits=limits
        )
        for action in self.ledger.handle(events.SlicesRequested((ask,)), self.now):
            if isinstance(action, CreateInstance):
                identity = Identity(self.leases, 0, f"MIG-{self.leases}")
                self._handle(events.InstanceCreated(action.instance_id, identity))
        self._handle(events.LeaseBound(name, Holder("2:2")))
        state = self.ledger.state
        return state.leases.get(name) or state.ended[name]

    def _handle(self, event: events.AnyEvent) -> None:
        self.ledger.handle(event, self.now)

    def refusal(self, lease: Lease) -> errors.JupyterMigError:
        """How the refusal of a lease reads now."""
        assert lease.reason is not None, f"{lease.lease_id} was not refused"
        error = Refusals(self.ledger.state, RULES, self.now).of(lease)
        assert error is not None
        return error


def test_no_room_says_what_is_free_and_whose_to_stop() -> None:
    """Three lines: what, what else, and the asker's own kernel that is in the way."""
    node = Node()
    node.lease("3g.20gb", "work/embed.ipynb")
    node.lease("2g.10gb", owner=OTHER)
    node.now = 41 * 60
    error = node.refusal(node.lease("3g.20gb"))
    assert isinstance(error, errors.NoRoom)
    assert str(error) == (
        "No 3g.20gb slice is free on this node.\n"
        "Free now: 2 x 1g.5gb or 1 x 2g.10gb.\n"
        "Yours: embed.ipynb (3g.20gb, 41 min). Stop it, pick another size, or wait."
    )


def test_what_is_not_ones_own_is_not_named() -> None:
    """Other people's notebooks stay theirs; what of mine would not help is not urged."""
    node = Node()
    node.lease("3g.20gb", "secret.ipynb", owner=OTHER)
    node.lease("3g.20gb", "secret2.ipynb", owner=OTHER)
    error = node.refusal(node.lease("1g.5gb"))
    assert "secret" not in str(error)
    assert error.situation == "Nothing is free now."
    assert error.next_step == "None of it is yours. Wait, or try again later."


def test_several_of_mine_are_named_without_promising_too_much() -> None:
    """At most three by name, and no promise that stopping one helps if it does not."""
    node = Node()
    for number in range(5):
        node.lease("1g.5gb", f"n{number}.ipynb")
    error = node.refusal(node.lease("7g.40gb"))
    assert "and 2 more; none alone makes room" in error.next_step


def test_patience_that_ran_out_is_another_matter() -> None:
    """It says how long the request had waited."""
    node = Node()
    node.lease("7g.40gb")
    lease = node.lease("1g.5gb", patience=90)
    node.now = 90
    node.ledger.handle(events.TimePassed(), node.now)
    error = node.refusal(lease)
    assert isinstance(error, errors.OutOfPatience)
    assert error.message == "No 1g.5gb slice came free in 1 min."


def test_an_unknown_size_is_answered_with_those_there_are() -> None:
    """In reading order."""
    error = Node().refusal(Node().lease("9g.99gb"))
    assert isinstance(error, errors.UnknownSize)
    assert error.situation == "Sizes here: 1g.5gb, 2g.10gb, 3g.20gb and 7g.40gb."


@pytest.mark.parametrize(
    ("node", "kind", "words"),
    [
        (Node(Geometry(), mig=False), errors.NotSupported, "MIG mode is off"),
        (Node(creates=False), errors.UnknownSize, "No slices exist on this node"),
        (Node(Geometry()), errors.NoPermission, "may not make slices"),
    ],
)
def test_a_node_without_sizes_says_why(node: Node, kind: type[Exception], words: str) -> None:
    """MIG off, nothing to hand out, or no permission: each with what to do."""
    error = node.refusal(node.lease("1g.5gb"))
    assert type(error) is kind
    assert words in error.message
    assert error.next_step


def test_a_node_without_gpus_says_so() -> None:
    """There is no driver, or nothing that it shows us."""
    node = Node()
    node.ledger.state.gpus.clear()
    error = node.refusal(node.lease("1g.5gb"))
    assert isinstance(error, errors.NoDriver)


def test_mig_that_is_off_has_two_ways_out() -> None:
    """The command for this very GPU, or to do without MIG."""
    node = Node(Geometry(), mig=False)
    error = node.refusal(node.lease("1g.5gb"))
    assert "sudo nvidia-smi -i 0 -mig 1." in error.next_step
    assert "JUPYTER_MIG_INVENTORY=full" in error.next_step


def test_a_gpu_in_trouble_is_mentioned() -> None:
    """What is wrong with a GPU explains why there is less room than one would think."""
    node = Node()
    node.ledger.handle(events.GpuFailed("GPU-1", "gpu-lost: NVML says: GPU is lost"), 1.0)
    error = node.refusal(node.lease("1g.5gb"))
    assert "GPU 0: NVML says: GPU is lost." in error.situation


def test_what_the_driver_said_keeps_its_kind_and_advice() -> None:
    """A refused creation arrives as the driver's own error."""
    node = Node()
    node.leases += 1
    ask = events.Ask("x", "k", ME, Holder("1:1"), "1g.5gb")
    (create, *_) = node.ledger.handle(events.SlicesRequested((ask,)), 0.0)
    assert isinstance(create, CreateInstance)
    words = "no-permission: NVML says: Insufficient Permissions\nRun the broker as root"
    node.ledger.handle(events.CreateFailed(create.instance_id, words, hopeless=True), 0.0)
    error = node.refusal(node.ledger.state.ended["x"])
    assert isinstance(error, errors.NoPermission)
    assert error.message == "No 1g.5gb slice: NVML says: Insufficient Permissions"
    assert error.next_step == "Run the broker as root"


@pytest.mark.parametrize("reason", [one for one in EndReason if one is not EndReason.RELEASED])
@pytest.mark.parametrize("label", ["a.ipynb", "50% \"off\" 'naïve' `x`\n" * 20, ""])
@pytest.mark.parametrize("size", ["1g.10gb.me", "größe\n" * 30])
def test_every_refusal_can_be_shown_in_a_dialog(reason: EndReason, label: str, size: str) -> None:
    """First line at most 80 characters; three lines; ASCII; no quotes and no percent sign."""
    node = Node()
    node.lease("7g.40gb", label)
    lease = node.lease("3g.20gb")
    lease.size, lease.reason, lease.error = size, reason, 'odd: 100% "words"'
    text = str(node.refusal(lease))
    assert len(text.partition("\n")[0]) <= 80
    assert text.isascii()
    assert not set(text) & set("`'\"%")


ONE = Limits("rule 2 (@students)", sizes=("1g.5gb",), slices=1, lifetime_seconds=8 * 3600)


def test_over_quota_says_what_is_held_and_which_rule() -> None:
    """And who can change it."""
    node = Node()
    node.lease("1g.5gb", limits=ONE)
    error = node.refusal(node.lease("1g.5gb", limits=ONE))
    assert isinstance(error, errors.OverQuota)
    assert str(error) == (
        "You hold as much as you may have on this node.\n"
        "You hold 1 slice, 0.125 of a GPU. "
        "Rule 2 (@students): sizes 1g.5gb; at most 1 slice; each for 8 h 0 min.\n"
        "Stop one of yours, or wait until one ends. The administrator (root) can change the rule."
    )


def test_not_allowed_says_what_is() -> None:
    """Waiting would not help, and it does not say so."""
    node = Node()
    error = node.refusal(node.lease("3g.20gb", limits=ONE))
    assert isinstance(error, errors.NotAllowed)
    assert error.message == "You may not have 3g.20gb slices on this node."
    assert error.situation.startswith("Rule 2 (@students): sizes 1g.5gb;")


def test_of_what_is_free_only_that_is_named_which_one_may_have() -> None:
    """However much of the node is free for others."""
    node = Node()
    for size in ("3g.20gb", "2g.10gb"):
        node.lease(size, owner=OTHER)
    some = Limits("rule 3 (*)", sizes=("1g.5gb", "3g.20gb"), slices=1)
    error = node.refusal(node.lease("3g.20gb", limits=some))
    assert error.situation == "Free now: 1 x 1g.5gb."
    large = Limits("rule 4 (*)", sizes=("3g.20gb",))
    error = node.refusal(node.lease("3g.20gb", limits=large))
    assert error.situation == "Nothing that you may have is free now."
    error = node.refusal(node.lease("3g.20gb"))
    assert "2g.10gb" in error.situation


def test_a_slice_whose_time_is_up() -> None:
    """The owner is told that it was a rule, no fault."""
    node = Node()
    lease = node.lease("1g.5gb", limits=ONE)
    error = node.refusal(msgspec.structs.replace(lease, reason=EndReason.LIFETIME))
    assert isinstance(error, errors.LeaseEnded)
    assert "each for 8 h" in error.situation


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (EndReason.NO_ROOM, errors.NoRoom),
        (EndReason.NOT_ALLOWED, errors.NotAllowed),
        (EndReason.OVER_QUOTA, errors.OverQuota),
    ],
)
def test_a_resize_is_refused_for_its_reason(reason: EndReason, kind: type[Exception]) -> None:
    """By the rule that it would break, which may be another than when the lease was made."""
    node = Node()
    lease = node.lease("1g.5gb")
    refusals = Refusals(node.ledger.state, RULES, node.now)
    assert isinstance(refusals.not_resized(lease, "3g.20gb", reason, ONE), kind)
