from __future__ import annotations

import msgspec

from jupyter_mig.core import actions, events
from jupyter_mig.core.events import GpuObserved
from jupyter_mig.core.geometry import NO_GPU_INSTANCE, Identity, Instance, Spec
from jupyter_mig.core.leases import EndReason, LeaseState
from tests.core.nodes import A100, gpu
from tests.core.story import Story, kinds


def whole(story: Story, *, occupants: tuple[int, ...] = (), problem: str = "") -> GpuObserved:
    """A GPU without MIG, on offer as a whole; or not, because of a problem."""
    one = Instance(
        Spec("GPU-0", NO_GPU_INSTANCE), Identity.of_gpu("GPU-0"), "full.40gb", 40, occupants
    )
    plain = gpu(0, A100, mig_enabled=False)
    story.world.gpus["GPU-0"] = plain
    return GpuObserved(plain, False, () if problem else (one,), problem=problem)


def test_a_whole_gpu_is_one_instance() -> None:
    """Where MIG is off the GPU itself is lent: once at a time, and stays when given back."""
    story = Story(A100, static={0: []})
    story.happen(whole(story))
    assert story.ledger.state.gpus["GPU-0"].problem == ""
    story.ask("a", "full.40gb")
    (claim,) = (said for said in story.said if isinstance(said, actions.ClaimInstance))
    story.happen(events.InstanceClaimed(claim.instance_id))
    assert story.state("a") is LeaseState.GRANTED
    assert kinds(story.ask("b", "40gb+")) == [actions.Refuse]
    story.happen(whole(story, occupants=(77,)))
    assert story.state("a") is LeaseState.GRANTED
    story.happen(whole(story, problem="MIG mode is on"))
    assert story.reason("a") is EndReason.LOST
    assert story.ledger.state.gpus["GPU-0"].problem == "MIG mode is on"


def test_what_may_not_be_used_is_withheld() -> None:
    """It is no size of this node, and no lease of its ends; when it may be used it is on offer."""
    story = Story(A100, static={0: []})
    seen = whole(story)
    story.happen(msgspec.structs.replace(seen, withheld=("GPU-0",)))
    assert kinds(story.ask("a", "full.40gb")) == [actions.Refuse]
    assert story.reason("a") is EndReason.UNKNOWN_SIZE
    story.happen(seen)
    story.ask("b", "full.40gb")
    (claim,) = (said for said in story.said if isinstance(said, actions.ClaimInstance))
    story.happen(events.InstanceClaimed(claim.instance_id))
    story.happen(msgspec.structs.replace(seen, withheld=("GPU-0",)))
    assert story.state("b") is LeaseState.GRANTED
    story.release("b")
    story.happen(events.OccupantsObserved(claim.instance_id, ()))
    assert story.state("b") is LeaseState.RELEASED
    story.happen(msgspec.structs.replace(seen, withheld=("GPU-0",)))
    assert kinds(story.ask("c", "full.40gb")) == [actions.Refuse]
