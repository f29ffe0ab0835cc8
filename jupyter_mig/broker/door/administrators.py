"""Who may administer the node: root and those in ``MIGBroker.admins``, each on this very machine.

The kernel says who asks (SO_PEERCRED), in terms of our own user namespace. So root of another one
comes as the user it is here; one that is none here comes as the overflow uid (user_namespaces(7)),
which is never an administrator. Root in a container without a user namespace of its own does come
as uid 0: its process has pids in more than one pid namespace, and is refused for that.
"""

from __future__ import annotations

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.callers.peer import Peer
from jupyter_mig.broker.policy import Policy


async def require(peer: Peer, policy: Policy) -> None:
    """Raise NotAllowed for anybody else."""
    if not await policy.is_admin(peer.uid) or peer.uid == _overflow_uid():
        raise errors.NotAllowed(
            "Only administrators of this node may do that.",
            situation=f"You are user {peer.uid}.",
            next_step="root is one; MIGBroker.admins can name others.",
        )
    if peer.may_be_another:
        raise errors.NotAllowed(
            "Nobody knows who this connection is from.",
            situation="It was there before the broker was, and the kernel cannot say whether the"
            " process that made it is the same.",
            next_step="Ask again.",
        )
    if not _is_here(peer):
        raise errors.NotAllowed(
            "Nobody is an administrator in a container.",
            situation="The process that asks has a pid namespace of its own, or cannot be seen.",
            next_step="Ask on the node itself.",
        )


def _is_here(peer: Peer) -> bool:
    """Whether the process that asks is seen from here as it sees itself."""
    process = peer.process()
    return process is not None and not process.is_contained


def _overflow_uid() -> int:
    return int((processes.PROC / "sys/kernel/overflowuid").read_text())
