"""Which claims of others keep a broker from starting."""

from __future__ import annotations

from jupyter_mig.broker.claimants.search import Claim
from jupyter_mig.broker.hardware.inventory import Inventories, Inventory
from jupyter_mig.broker.system.configuration import MIGBroker


def concerns_node(own: MIGBroker, claim: Claim) -> bool:
    """Whether a node's broker was to have that GPU. Who only cuts it at boot is in the way of those
    that the broker is to cut, unless an administrator says that this is no dispute.
    """
    uuid = claim.gpu.uuid
    if claim.claimant.at_boot:
        return uuid in own.gpus and uuid not in own.claimed_gpus_are_ours
    return uuid in own.listed


def concerns_user(inventories: Inventories, claim: Claim, *, simulated: bool) -> bool:
    """Whether a user's own broker was to cut that GPU. Slices that exist may be handed out: in a
    job or a container they were made, and given to us, by just those who have the GPU.
    """
    return inventories.of(claim.gpu, simulated=simulated).inventory is Inventory.DYNAMIC
