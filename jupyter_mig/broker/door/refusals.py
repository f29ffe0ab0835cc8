"""Why a lease ended badly, as a person needs to hear it.

First line: what happened. Second: what is free now. Third: what to do, naming which of the
asker's own kernels are in the way. All of it is rendered here, at the moment it is asked for.
Where asking again is all that can be done, the third is left to who asked: he starts a kernel, or
runs a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.door.allowances import WHO_CHANGES_IT, allowance, amount, rule
from jupyter_mig.broker.hardware.stock import MIG_IS_ON
from jupyter_mig.broker.memory.failures import error_in
from jupyter_mig.broker.words import duration, listed, plain
from jupyter_mig.core import queries, quotas
from jupyter_mig.core.allowance import Allowed, names_for, sizes_for
from jupyter_mig.core.leases import EndReason, Lease
from jupyter_mig.core.observations import MIG_IS_OFF
from jupyter_mig.core.policy import UNLIMITED, Limits
from jupyter_mig.core.queries import InTheWay
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.sizes import is_plain
from jupyter_mig.core.state import GpuState, State

_MANY = 6
_SIZE = 24
"""Characters of a size that is shown: first lines have 80 in all."""

MAKE_SLICES = "An administrator makes some: sudo nvidia-smi mig -cgi PROFILE,... -C"


class Refusals:
    """Renders refusals from what the ledger knows at ``now`` (seconds on the ledger's clock)."""

    def __init__(self, state: State, rules: Rules, now: float) -> None:
        self._state = state
        self._rules = rules
        self._now = now

    def of(self, lease: Lease) -> errors.JupyterMigError | None:
        """Why a lease that is over ended badly; None if its owner wanted the end."""
        if lease.reason is None or (lease.reason is EndReason.RELEASED):
            return None
        return _RENDERED[lease.reason](self, lease)

    def no_room(self, lease: Lease) -> errors.JupyterMigError:
        """Everything is taken, and the request would not wait."""
        return errors.NoRoom(
            f"No {plain(lease.size, _SIZE)} slice is free on this node.",
            situation=self._free_now(lease),
            next_step=self._what_to_do(lease),
        )

    def out_of_patience(self, lease: Lease) -> errors.JupyterMigError:
        """Everything is still taken."""
        waited = duration(lease.since - lease.requested_at)
        return errors.OutOfPatience(
            f"No {plain(lease.size, _SIZE)} slice came free in {waited}.",
            situation=self._free_now(lease),
            next_step=self._what_to_do(lease),
        )

    def no_other_size(self, lease: Lease, size: str) -> errors.JupyterMigError:
        """A resize would not fit."""
        return errors.NoRoom(
            f"No room for {plain(size, 20)} in place of {plain(lease.size, 20)}.",
            situation=self._free_now(lease),
            next_step="The kernel keeps its slice. Stop another of yours, or pick another size.",
        )

    def not_resized(
        self, lease: Lease, size: str, reason: EndReason, limits: Limits | None
    ) -> errors.JupyterMigError:
        """A resize that is refused: for want of room, or by the limits of its owner."""
        if reason is EndReason.NO_ROOM:
            return self.no_other_size(lease, size)
        wish = msgspec.structs.replace(lease, size=size, limits=limits)
        return _RENDERED[reason](self, wish)

    def not_allowed(self, lease: Lease) -> errors.JupyterMigError:
        """The limits never allow it."""
        limits = lease.limits or UNLIMITED
        return errors.NotAllowed(
            f"You may not have {plain(lease.size, _SIZE)} slices on this node.",
            situation=f"{rule(limits)}: {allowance(limits)}.",
            next_step=f"Pick a size that it allows. {WHO_CHANGES_IT}",
        )

    def over_quota(self, lease: Lease) -> errors.JupyterMigError:
        """The limits allow it to one who holds less."""
        limits = lease.limits or UNLIMITED
        has = quotas.held(self._state, lease.owner)
        return errors.OverQuota(
            "You hold as much as you may have on this node.",
            situation=f"You hold {amount(has)}. {rule(limits)}: {allowance(limits)}.",
            next_step=f"Stop one of yours, or wait until one ends. {WHO_CHANGES_IT}",
        )

    def lifetime(self, lease: Lease) -> errors.JupyterMigError:
        """The slice was had as long as the limits allow."""
        limits = lease.limits or UNLIMITED
        return errors.LeaseEnded(
            f"The {plain(lease.size, _SIZE)} slice ended: its time was up.",
            situation=f"{rule(limits)}: {allowance(limits)}.",
            next_step=f"Start again for another. {WHO_CHANGES_IT}",
        )

    def revoked(self, lease: Lease) -> errors.JupyterMigError:
        """An administrator took it away, and said why."""
        what = "slice" if lease.granted_at is not None else "request"
        short, whole = plain(lease.error, 48), plain(lease.error, 500)
        more = "" if short == whole else f" {whole}"
        return errors.LeaseEnded(
            f"The administrator revoked it: {short}",
            situation=f"It was a {what} of {plain(lease.size, _SIZE)}.{more}",
            next_step="Ask the administrator of this node before you start again.",
        )

    def unknown_size(self, lease: Lease) -> errors.JupyterMigError:
        """Not on this node; or there is nothing on this node at all, which says why."""
        sizes = names_for(self._state, self._rules, lease.owner, lease.limits)
        if not sizes:
            return self._no_sizes()
        return errors.UnknownSize(
            f"This node has no size {plain(lease.size, _SIZE)}.",
            situation=f"Sizes here: {listed(sizes)}.",
            next_step=f"Pick one of them.{self._problems()}",
        )

    def driver(self, lease: Lease) -> errors.JupyterMigError:
        """The driver would not make the slice."""
        cause = error_in(lease.error)
        return type(cause)(
            f"No {plain(lease.size, _SIZE)} slice: {plain(cause.message, 44)}",
            situation="The driver refused to make it.",
            next_step=cause.next_step,
        )

    def cancelled(self, lease: Lease) -> errors.JupyterMigError:
        """Somebody took the request back."""
        return errors.Cancelled(f"The request for {plain(lease.size, _SIZE)} was taken back.")

    def holder_left(self, lease: Lease) -> errors.JupyterMigError:
        """Nobody was left to want it."""
        return errors.LeaseEnded(
            f"The {plain(lease.size, _SIZE)} slice was given back: its processes had ended."
        )

    def lost(self, lease: Lease) -> errors.JupyterMigError:
        """The instance vanished under the lease, or is somebody else's."""
        return errors.LeaseEnded(
            f"The {plain(lease.size, _SIZE)} slice is gone from its GPU.",
            situation="It was removed, the GPU was reset, or somebody else got it while your broker"
            " was dead.",
        )

    def rebooted(self, lease: Lease) -> errors.JupyterMigError:
        """Instances do not outlive a reboot."""
        return errors.LeaseEnded(
            f"The {plain(lease.size, _SIZE)} slice ended with a restart of the machine."
        )

    def _free_now(self, lease: Lease) -> str:
        free = self._free(lease)
        if not free:
            what = "Nothing" if lease.limits is None else "Nothing that you may have"
            return f"{what} is free now.{self._problems()}"
        counts = [f"{each.free} x {each.offer.name}" for each in free[:_MANY]]
        return f"Free now: {listed(counts, 'or')}.{self._problems()}"

    def _free(self, lease: Lease) -> list[Allowed]:
        """Another size to pick, where there is one."""
        offers = sizes_for(self._state, self._rules, lease.owner, lease.limits)
        return [each for each in offers if each.free and is_plain(each.offer.name)]

    def _what_to_do(self, lease: Lease) -> str:
        mine = queries.mine_in_the_way(self._state, self._rules, lease.owner, lease.size)
        helpful = [entry for entry in mine if entry.would_make_room]
        free = self._free(lease)
        if helpful:
            which = "it" if len(helpful) == 1 else "one of them"
            ways = "pick another size, or wait" if free else "or wait"
            return f"Yours: {self._named(helpful)}. Stop {which}, {ways}."
        if mine:
            ways = "Pick another size, or wait" if free else "Stop several, or wait"
            return f"Yours: {self._named(mine)}; none alone makes room. {ways}."
        ways = "Pick another size, or wait" if free else "Wait, or try again later"
        return f"None of it is yours. {ways}."

    def _named(self, entries: list[InTheWay]) -> str:
        shown = [self._one(entry) for entry in entries[:3]]
        more = len(entries) - len(shown)
        return listed(shown) if not more else f"{', '.join(shown)} and {more} more"

    def _one(self, entry: InTheWay) -> str:
        lease = entry.lease
        name = plain(lease.label.rpartition("/")[2], 40) or f"kernel {plain(lease.kernel_id, 8)}"
        held = duration(self._now - (lease.granted_at or lease.since))
        return f"{name} ({entry.profile_name}, {held})"

    def _problems(self) -> str:
        """What is wrong with GPUs, as sentences to append."""
        return "".join(
            f" GPU {gpu.gpu.index}: {problem_of(gpu)}."
            for gpu in self._state.gpus.values()
            if gpu.problem
        )

    def _no_sizes(self) -> errors.JupyterMigError:
        """Nothing can be had on this node at all: say why."""
        gpus = list(self._state.gpus.values())
        if not gpus:
            return errors.NoDriver(
                "This node has no NVIDIA GPU that the broker can see.",
                next_step="Check what nvidia-smi -L lists here.",
            )
        off = next((gpu for gpu in gpus if gpu.problem == MIG_IS_OFF), None)
        if off is not None:
            return errors.NotSupported(
                "MIG mode is off on this node.",
                situation=f"No slices can be handed out.{self._problems()}",
                next_step=f"An administrator turns it on: {remedy_of(off)}. "
                "Or have GPUs as a whole: JUPYTER_MIG_INVENTORY=full.",
            )
        broken = next((gpu for gpu in gpus if gpu.problem), None)
        if broken is not None:
            cause = error_in(broken.problem)
            return type(cause)(cause.message, next_step=remedy_of(broken))
        if not any(gpu.creates for gpu in gpus) and self._state.instances:
            return errors.UnknownSize(
                "None of the slices on this node can be used from here.",
                situation="They exist; this container, job or user may not use them.",
                next_step="See jupyter mig status, and check CUDA_VISIBLE_DEVICES.",
            )
        if any(gpu.creates for gpu in gpus):
            return errors.NoPermission(
                "The broker may not make slices on this node.",
                situation="It is not told where slices fit, which needs the same privilege.",
                next_step="Run it as root or with access to the mig/config capability.",
            )
        return errors.UnknownSize(
            "No slices exist on this node.",
            situation="The broker hands out existing MIG instances and there are none.",
            next_step=MAKE_SLICES,
        )


def problem_of(gpu: GpuState) -> str:
    """What is wrong with a GPU, in few words; empty if nothing is."""
    return plain(error_in(gpu.problem).message).rstrip(".") if gpu.problem else ""


def remedy_of(gpu: GpuState) -> str:
    """What to do about it, for this very GPU."""
    if gpu.problem == MIG_IS_OFF:
        remedy = "sudo nvidia-smi -i INDEX -mig 1"
    elif gpu.problem == MIG_IS_ON:
        remedy = "sudo nvidia-smi -i INDEX -mig 0, or another inventory than full"
    else:
        remedy = error_in(gpu.problem).next_step if gpu.problem else ""
    return " ".join(remedy.replace("INDEX", str(gpu.gpu.index)).split())


_RENDERED: Mapping[EndReason, Callable[[Refusals, Lease], errors.JupyterMigError]] = (
    MappingProxyType(
        {
            EndReason.NO_ROOM: Refusals.no_room,
            EndReason.OUT_OF_PATIENCE: Refusals.out_of_patience,
            EndReason.UNKNOWN_SIZE: Refusals.unknown_size,
            EndReason.NOT_ALLOWED: Refusals.not_allowed,
            EndReason.OVER_QUOTA: Refusals.over_quota,
            EndReason.LIFETIME: Refusals.lifetime,
            EndReason.REVOKED: Refusals.revoked,
            EndReason.DRIVER: Refusals.driver,
            EndReason.CANCELLED: Refusals.cancelled,
            EndReason.HOLDER_LEFT: Refusals.holder_left,
            EndReason.LOST: Refusals.lost,
            EndReason.REBOOTED: Refusals.rebooted,
        }
    )
)
