"""The helper: it does what the verbs say, after checks of its own, with an NVML of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import suppress

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.claimants.search import Claim
from jupyter_mig.broker.helper import mode, verbs
from jupyter_mig.broker.helper.filter.device_filter import DeviceFilter
from jupyter_mig.broker.helper.nodes import InstanceNodes, listed
from jupyter_mig.broker.helper.register import Register
from jupyter_mig.broker.helper.whole import WholeGpus
from jupyter_mig.broker.processes import Process
from jupyter_mig.core.geometry import NO_GPU_INSTANCE, Gpu, Identity, Instance, Spec
from jupyter_mig.nvml.port import HardwarePort, Removable

log = logging.getLogger(__name__)

_LOOKS = (verbs.Describe, verbs.LookOut, verbs.Observe, verbs.Look, verbs.Secure)
"""Verbs that change nothing, or only what is wrong: no news."""


class Helper:
    """Cuts the GPUs of ``gpu_uuids``, in this order, and no others. For any number of threads.
    On those of ``turned_on`` it has MIG mode on from the start, and whenever it opens NVML again.
    ``claims`` looks who else manages some of them by now. ``whole`` are those of them that are
    handed out whole. ``isolates``: whether each instance opens for one user alone.
    ``broker`` is the user as whom the broker runs.

    Raises NotFound if one of them is not there.
    """

    def __init__(
        self,
        driver: HardwarePort,
        gpu_uuids: tuple[str, ...],
        register: Register,
        filter_: DeviceFilter | None = None,
        turned_on: tuple[str, ...] = (),
        *,
        claims: Callable[[], Collection[Claim]] = tuple,
        whole: WholeGpus | None = None,
        isolates: bool = True,
        broker: int | None = None,
    ) -> None:
        self._driver = driver
        self._register = register
        self._uuids = gpu_uuids
        self._filter = filter_
        self._turned_on = turned_on
        self._claims = claims
        self._whole = whole or WholeGpus(driver, register)
        self._isolates = isolates
        self._broker = broker
        mode.turn_on(driver, turned_on)
        self._gpus()
        self._whole.begin()

    def do(self, verb: verbs.Verb) -> verbs.Outcome:
        """Carry it out; what went wrong is an outcome, too."""
        try:
            outcome = self._do(verb)
        except errors.JupyterMigError as error:
            if not isinstance(verb, verbs.Secure):  # asked again and again; the broker tells news
                log.warning("%r: %s", verb, error.message)
            return _failed(error)
        if not isinstance(verb, _LOOKS):
            log.info("%r: %r", verb, outcome)
        return outcome

    def _do(self, verb: verbs.Verb) -> verbs.Outcome:
        if isinstance(verb, verbs.OfNode):
            return self._of_node(verb)
        uuid = self._uuid(verb.gpu)
        match verb:
            case verbs.Observe():
                return verbs.Observed(self._instances(uuid))
            case verbs.Look():
                identity = self._there(uuid, verb.gi_id)
                computing = self._driver.occupants(uuid, identity)
                pids = {*computing, *self._openers(uuid, identity)}
                return verbs.Occupied(tuple(sorted(pids)), computing)
            case verbs.Secure():
                self._whole.secure(self._require_whole(uuid))
                return verbs.Done()
            case verbs.Create():
                return self._create(uuid, verb.profile_id, verb.start)
            case _:
                self._change(uuid, verb)
                return verbs.Done()

    def _of_node(self, verb: verbs.OfNode) -> verbs.Outcome:
        match verb:
            case verbs.Describe():
                return verbs.Described(self._gpus())
            case verbs.LookOut():
                return verbs.Claimed(self._claimed())
            case _:
                self._hold(verb)
                return verbs.Done()

    def _claimed(self) -> tuple[tuple[int, str], ...]:
        places = {uuid: place for place, uuid in enumerate(self._uuids)}
        return tuple((places[each.gpu.uuid], each.who) for each in self._claims())

    def _hold(self, verb: verbs.LetGo | verbs.TakeUp) -> None:
        if not isinstance(self._driver, Removable):
            raise errors.NotSupported("This driver cannot be let go of", code=3)
        if isinstance(verb, verbs.LetGo):
            self._driver.let_go()
        else:
            self._driver.take_up()
            mode.turn_on(self._driver, self._turned_on)

    def _change(self, uuid: str, verb: verbs.OfInstance) -> None:
        match verb:
            case verbs.Destroy():
                self._destroy(uuid, verb.gi_id)
            case verbs.Own():
                self._own(uuid, verb.gi_id)
            case verbs.Protect() if verb.gi_id == NO_GPU_INSTANCE:
                self._whole.give(self._require_whole(uuid), verb.uid)
            case verbs.Protect():
                self._close_to_cgroups(uuid, verb.gi_id)
                self._nodes(uuid, verb.gi_id).give_to(verb.uid)
            case verbs.Unprotect() if verb.gi_id == NO_GPU_INSTANCE:
                self._whole.take_back(self._require_whole(uuid))
            case verbs.Unprotect():
                self._nodes(uuid, verb.gi_id).close()
                self._close_to_cgroups(uuid, verb.gi_id)
            case verbs.Admit():
                self._admit(uuid, verb)
            case verbs.Kill():
                self._kill(uuid, verb)

    def _gpus(self) -> tuple[Gpu, ...]:
        found = {gpu.uuid: gpu for gpu in self._driver.gpus()}
        missing = [uuid for uuid in self._uuids if uuid not in found]
        if missing:
            raise errors.NotFound(
                f"There is no GPU {missing[0]}",
                situation=f"There are: {', '.join(found) or 'none'}.",
                next_step="Correct the list of GPUs in the broker's configuration.",
                code=6,
                call="nvmlDeviceGetHandleByUUID",
            )
        return tuple(found[uuid] for uuid in self._uuids)

    def _uuid(self, gpu: int) -> str:
        if gpu >= len(self._uuids):
            raise errors.InvalidArgument(
                f"The helper has no GPU {gpu}", situation=f"It has {len(self._uuids)}.", code=2
            )
        return self._uuids[gpu]

    def _create(self, uuid: str, profile_id: int, start: int) -> verbs.Created:
        spec = Spec(uuid, profile_id, start)
        self._register.begin(spec)
        try:
            identity = self._driver.create(spec)
        except errors.JupyterMigError:
            with suppress(errors.UnwritableLog):  # what went wrong first is told
                self._register.settle(spec)
            raise
        try:
            self._register.settle(spec, identity.gi_id)
        except errors.UnwritableLog:
            self._driver.destroy(uuid, identity)
            raise
        return verbs.Created(identity)

    def _destroy(self, uuid: str, gi_id: int) -> None:
        if not self._register.holds(uuid, gi_id):
            self._own_what_was_begun(uuid, gi_id)
        identity = self._find(uuid, gi_id)
        if identity is not None:
            self._require_closed(uuid, identity)
            self._driver.destroy(uuid, identity)
        self._register.remove(uuid, gi_id)

    def _require_closed(self, uuid: str, identity: Identity) -> None:
        """The next instance may have this one's number: whoever has this one's nodes open would
        have that one's.
        """
        openers = self._openers(uuid, identity) if self._isolates else ()
        if openers:
            raise errors.InUse(
                f"Somebody has GPU instance {identity.gi_id} open",
                situation=f"Processes with its device nodes open: {listed(frozenset(openers))}.",
                next_step="End them.",
            )

    def _own_what_was_begun(self, uuid: str, gi_id: int) -> None:
        """It is ours if the helper before us was making one at its place when it was killed."""
        for each in self._driver.instances(uuid):
            if each.identity.gi_id == gi_id and each.spec in self._register.begun:
                return self._register.settle(each.spec, gi_id)
        raise errors.NoPermission(
            f"GPU instance {gi_id} was not made by us",
            situation=f"It is on {uuid}.",
            next_step="jupyter mig admin destroy has it destroyed all the same.",
            code=4,
        )

    def _own(self, uuid: str, gi_id: int) -> None:
        if self._there(uuid, gi_id).is_gpu:
            raise errors.InvalidArgument("A whole GPU is not made, and does not go", code=2)
        self._register.add(uuid, gi_id)

    def _require_whole(self, uuid: str) -> str:
        """A GPU that is handed out whole, and cut by nobody."""
        if uuid not in self._whole:
            raise errors.NotFound(f"{uuid} is not handed out whole", code=6)
        if any(gpu.uuid == uuid and gpu.mig_enabled for gpu in self._gpus()):
            raise errors.InvalidArgument(
                "MIG mode is on: the GPU cannot be had as a whole", situation=uuid, code=2
            )
        return uuid

    def _find(self, uuid: str, gi_id: int) -> Identity | None:
        if gi_id == NO_GPU_INSTANCE:
            return Identity.of_gpu(uuid) if uuid in self._whole else None
        for instance in self._driver.instances(uuid):
            if instance.identity.gi_id == gi_id:
                return instance.identity
        return None

    def _there(self, uuid: str, gi_id: int) -> Identity:
        identity = self._find(uuid, gi_id)
        if identity is None:
            raise errors.NotFound(f"There is no GPU instance {gi_id} on {uuid}", code=6)
        return identity

    def _nodes(self, uuid: str, gi_id: int) -> InstanceNodes:
        return self._nodes_of(uuid, self._there(uuid, gi_id))

    def _close_to_cgroups(self, uuid: str, gi_id: int) -> None:
        if self._filter is not None:
            self._filter.close_devices(self._nodes(uuid, gi_id).devices())

    def _admit(self, uuid: str, verb: verbs.Admit) -> None:
        if self._filter is None or verb.gi_id == NO_GPU_INSTANCE:
            return
        nodes = self._nodes(uuid, verb.gi_id)
        process = processes.find(verb.pid)
        if process is None or process.started_ticks != verb.started_ticks:
            raise errors.NotFound(f"There is no process {verb.pid}", code=6)
        if not nodes.belong_to(process.uid):
            raise errors.NoPermission(
                f"Process {verb.pid} belongs to another user than the slice", code=4
            )
        self._filter.let_in(verb.pid, nodes.devices())

    def _kill(self, uuid: str, verb: verbs.Kill) -> None:
        identity = self._there(uuid, verb.gi_id)
        # Found before it is looked for on the instance, and again when it is ended: so it is one
        # process all along.
        process = processes.find(verb.pid)
        if verb.pid not in self._driver.occupants(uuid, identity):
            self._require_prepared(verb.pid, uuid, identity)
            self._require_users(process, uuid, identity)
        if process is not None and process.started_ticks == verb.started_ticks:
            processes.end(process, gently=verb.gently)

    def _require_prepared(self, pid: int, uuid: str, identity: Identity) -> None:
        """Raise unless a process that does not compute there may begin to at any moment. To have a
        whole GPU open means nothing: whoever asks NVML anything has all that open for him.
        """
        opens = not identity.is_gpu and pid in self._openers(uuid, identity)
        if not opens and not _is_meant(pid, identity):
            raise errors.NotFound(
                f"Process {pid} is not on GPU instance {identity.gi_id}",
                situation="NVML does not list it there, it has none of the nodes open (which counts"
                " for nothing on a whole GPU), and it was not started for it.",
                code=6,
            )

    def _require_users(self, process: Process | None, uuid: str, identity: Identity) -> None:
        """Raise unless a process is of the user whose slice it is, if it is a single user's."""
        if process is not None and self._isolates and not self._is_users(process, uuid, identity):
            raise errors.NoPermission(
                f"Process {process.pid} does not compute on GPU instance {identity.gi_id}",
                situation="It is not of the user whose slice that is: it may have been sent an open"
                " node without a say in it.",
                code=4,
            )

    def _is_users(self, process: Process, uuid: str, identity: Identity) -> bool:
        if identity.is_gpu:
            return self._whole.belongs_to(uuid, process.uid)
        return self._nodes_of(uuid, identity).belong_to(process.uid)

    def _openers(self, uuid: str, identity: Identity) -> frozenset[int]:
        if identity.is_gpu:
            return self._whole.openers(uuid)
        return self._nodes_of(uuid, identity).openers()

    def _nodes_of(self, uuid: str, identity: Identity) -> InstanceNodes:
        return InstanceNodes(self._driver.described_nodes(uuid, identity), self._broker)

    def _occupants(self, uuid: str, identity: Identity) -> tuple[int, ...]:
        """Who is on an instance: those NVML lists, and those that have its nodes open."""
        listed_there = self._driver.occupants(uuid, identity)
        return tuple(sorted({*listed_there, *self._openers(uuid, identity)}))

    def _instances(self, uuid: str) -> tuple[Instance, ...]:
        return tuple(
            msgspec.structs.replace(
                each,
                occupants=None if each.occupants is None else self._occupants(uuid, each.identity),
            )
            for each in self._driver.instances(uuid)
        )


def _is_meant(pid: int, identity: Identity) -> bool:
    """Whether a process was started for the instance: it may begin to use it at any moment."""
    given = processes.variable(pid, "CUDA_VISIBLE_DEVICES")
    return given is not None and given == identity.mig_uuid


def _failed(error: errors.JupyterMigError) -> verbs.Failed:
    code, call = (error.code, error.call) if isinstance(error, errors.DriverError) else (999, "")
    return verbs.Failed(
        error.kind, error.message, error.situation, error.next_step, code=code, call=call
    )
