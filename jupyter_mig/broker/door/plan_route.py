"""``/v1/plan``: would this mix of slices fit? Nothing is changed by asking."""

from __future__ import annotations

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.door.allowances import allowance, rule
from jupyter_mig.broker.door.refusals import Refusals
from jupyter_mig.broker.door.routes import Route
from jupyter_mig.broker.door.views import Views
from jupyter_mig.broker.words import listed, plain
from jupyter_mig.core import plans
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.plans import Trial
from jupyter_mig.core.policy import Limits
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import (
    GpuView,
    InstanceView,
    LeftOver,
    Outline,
    PlannedSlice,
    PlanRequest,
    PlanView,
)

_COPYING_MILLISECONDS = 16
_PLACES_A_MILLISECOND = 16
"""What a plan costs beside the copies: 128 slices on 8 GPUs take 25 to 65 ms."""


class PlanRoute(Route):
    """``/v1/plan``."""

    async def post(self) -> None:
        """Where each slice would go, now and on an empty node, within the asker's limits."""
        request = codec.decode(self.request.body, PlanRequest)
        uuids = self._gpus(request.gpu)
        places = len(request.sizes) * len(uuids)
        cost = _COPYING_MILLISECONDS + places // _PLACES_A_MILLISECOND
        await self.audience.work(self.peer.uid, cost)
        limits = await self.service.policy.limits(self.peer.uid)
        state, rules, asker = self.service.state, self.service.rules, self.peer.uid
        now = plans.now(state, rules, request.sizes, asker, uuids, limits=limits)
        empty = plans.empty(state, rules, request.sizes, asker, uuids, limits=limits)
        self._refuse_what_never_is(empty)
        self.answer(PlanView(now=self._outline(now, limits), empty=self._outline(empty, limits)))

    def _refuse_what_never_is(self, empty: Trial) -> None:
        for lease in empty.leases:
            refusal = Refusals(empty.state, self.service.rules, empty.state.now).of(lease)
            if refusal is not None:
                raise refusal

    def _gpus(self, model: str) -> list[str]:
        """The GPUs whose name contains ``model``."""
        gpus = self.service.state.gpus.values()
        found = [one.gpu.uuid for one in gpus if model.lower() in one.gpu.name.lower()]
        if gpus and not found:
            names = dict.fromkeys(one.gpu.name for one in gpus)
            raise errors.BadRequest(
                f"No GPU here is called {plain(model, 40)}.",
                situation=f"There are: {listed(list(names))}.",
                next_step="For another model, set JUPYTER_MIG_DRIVER to a simulated node of it.",
            )
        return found

    def _outline(self, trial: Trial, limits: Limits | None) -> Outline:
        views = Views(trial.state, self.service.rules, trial.state.now, self.peer.uid)
        mine = {lease.lease_id for lease in trial.leases}
        return Outline(
            fits=not trial.left_over,
            slices=_slices(trial),
            left_over=tuple(
                LeftOver(lease.size, self._why(trial, lease, limits)) for lease in trial.left_over
            ),
            gpus=tuple(_planned(gpu, mine) for gpu in views.node(self.driver).gpus),
        )

    def _why(self, trial: Trial, lease: Lease, limits: Limits | None) -> str:
        """Why there is no place for one of the mix."""
        if limits is not None and plans.exceeds(trial, self.service.rules, lease):
            return f"{rule(limits)}: {allowance(limits)}"
        return plans.shortage(trial.state, self.service.rules, lease.size).value


def _slices(trial: Trial) -> tuple[PlannedSlice, ...]:
    places = ((lease.size, trial.state.place_of(lease)) for lease in trial.leases)
    return tuple(
        PlannedSlice(
            size=size,
            profile=place.profile_name,
            gpu_uuid=place.spec.gpu_uuid,
            gpu_index=trial.state.gpus[place.spec.gpu_uuid].gpu.index,
            start=place.spec.start,
        )
        for size, place in places
        if place is not None
    )


def _planned(gpu: GpuView, mine: set[str]) -> GpuView:
    """The GPU, the instances of the mix marked as planned."""
    instances = (_as_planned(one) if one.lease_id in mine else one for one in gpu.instances)
    return msgspec.structs.replace(gpu, instances=tuple(instances))


def _as_planned(instance: InstanceView) -> InstanceView:
    return msgspec.structs.replace(instance, state="planned", lease_id=None)
