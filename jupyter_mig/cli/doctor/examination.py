"""All checks, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from jupyter_mig.cli.doctor import (
    boundary,
    broker,
    claimants,
    driver,
    helper,
    locks,
    modprobe,
    node_broker,
    nodes,
    place,
    remote,
    server,
    slices,
    specs,
    variables,
    versions,
    whole,
)
from jupyter_mig.cli.doctor.broker import BrokerFacts
from jupyter_mig.cli.doctor.driver import DriverFacts
from jupyter_mig.cli.doctor.finding import Finding, note, problem
from jupyter_mig.cli.doctor.node_broker import NodeBrokerFacts
from jupyter_mig.cli.doctor.nodes import NodeFacts
from jupyter_mig.client import Settings
from jupyter_mig.client.place import directory_for
from jupyter_mig.client.settings import SYSTEM_VARIABLE
from jupyter_mig.errors import JupyterMigError, MalformedSpec
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.examination import GpuExamined
from jupyter_mig.wire import meeting

_ROOT = 0


class Report(msgspec.Struct, frozen=True):
    """The findings, and whether they are about a simulated node."""

    simulated: bool
    findings: tuple[Finding, ...]


def examine(environ: Mapping[str, str], *, start: bool = False) -> Report:
    """Look at everything that the environment points to. Never raises an error of ours."""
    file = Path(environ.get(SYSTEM_VARIABLE) or meeting.SYSTEM_CONFIGURATION)
    try:
        settings = Settings.from_environment(environ)
    except MalformedSpec as error:
        return Report(simulated=False, findings=tuple(_misled(file, error, environ)))
    if start:
        broker.start(environ)
    node = None if settings.socket is not None else node_broker.look(file)
    if node is not None:
        return _of_node(settings, environ, node)
    hardware = driver.look(settings, directory_for(settings))
    simulation = hardware.examined is not None and hardware.examined.simulated
    return Report(settings.simulated or simulation, tuple(_findings(settings, environ, hardware)))


def _misled(file: Path, error: JupyterMigError, environ: Mapping[str, str]) -> Iterator[Finding]:
    """No program of ours finds a broker here: then there is little to look at."""
    yield from variables.check(environ)
    yield from versions.check(versions.look())
    node = node_broker.look(file)
    about = list(node_broker.check(node, BrokerFacts(Path(), Settings()))) if node else []
    yield from about
    if not any(one.seen.startswith(error.message) for one in about):
        yield problem("broker", f"{error.message} {error.situation}", error.next_step)


def _findings(
    settings: Settings, environ: Mapping[str, str], hardware: DriverFacts
) -> Iterator[Finding]:
    """On a machine on which each user has a broker of his own."""
    directory = directory_for(settings)
    door = settings.socket or directory / meeting.SOCKET
    there = broker.look(settings, door, listens=place.listens(door))
    yield from variables.check(environ)
    yield from versions.check(versions.look())
    yield from driver.check(hardware)
    if hardware.examined is not None:
        root = _root(settings)
        gpus = hardware.examined.gpus
        access = nodes.look(root, gpus) if root else NodeFacts()
        yield from nodes.check(access)
        slices_nodes = tuple(file for file in access.files if file.capability is not None)
        yield from locks.check(locks.look(slices_nodes, there.view.pid if there.view else None))
        yield from claimants.check(claimants.look(root, gpus, settings, environ))
    if settings.remote is not None:
        yield from remote.check(remote.look(settings.remote))
    else:
        yield from place.check(place.look(settings, directory))
        yield from broker.check(there)
    if there.node is not None:
        yield from slices.check(slices.look(there.node))
    yield from _jupyter(settings, there)


def _jupyter(settings: Settings, there: BrokerFacts) -> Iterator[Finding]:
    yield from specs.check(specs.look(settings, there.node))
    yield from server.check(server.look())


def _of_node(settings: Settings, environ: Mapping[str, str], node: NodeBrokerFacts) -> Report:
    """On a node that has a broker for all."""
    # As nobody else than root a simulated node is not opened: its silicon is the broker's.
    sees = node.own is not None and (os.geteuid() == _ROOT or not settings.simulated)
    hardware = driver.look_for_node(settings, node.own) if sees and node.own else None
    findings = tuple(_node_findings(settings, environ, node, hardware))
    return Report(settings.simulated, findings)


def _node_findings(
    settings: Settings,
    environ: Mapping[str, str],
    node: NodeBrokerFacts,
    hardware: DriverFacts | None,
) -> Iterator[Finding]:
    yield from variables.check(environ)
    yield from versions.check(versions.look())
    gpus = hardware.examined.gpus if hardware and hardware.examined else ()
    if hardware is not None:
        yield from driver.check(hardware)
        yield from claimants.check(claimants.look(_root(settings), gpus, settings, environ))
    else:
        yield note("driver", "not looked at: only the broker sees what it simulates")
    door = settings.door or Path(meeting.SYSTEM_SOCKET)
    there = broker.look(settings, door, listens=place.listens(door))
    yield from node_broker.check(node, there)
    yield from _isolation(settings, node, gpus)
    if settings.remote is not None:
        yield from remote.check(remote.look(settings.remote))
    if there.node is not None:
        yield from slices.check(slices.look(there.node))
    yield from _jupyter(settings, there)


def _isolation(
    settings: Settings, node: NodeBrokerFacts, gpus: tuple[GpuExamined, ...]
) -> Iterator[Finding]:
    """Nodes that all need, then those that only one user shall open."""
    root = _root(settings)
    if root is None or node.own is None:
        why = "there are no device nodes" if node.own else "the configuration cannot be used"
        yield note("isolation", f"not tried: {why}")
        return
    given = whole.look(root, node.own, gpus)
    plain = tuple(
        msgspec.structs.replace(gpu, instances=())
        for gpu in gpus
        if given is None or gpu.uuid not in node.own.whole_gpus
    )
    yield from nodes.opening(nodes.look(root, plain))
    yield from modprobe.check(modprobe.look(root))
    tried = boundary.look(root, wanted=node.own.isolation)
    yield from boundary.check(tried)
    yield from whole.check(given)
    if os.geteuid() != _ROOT:
        yield helper.unseen()
    else:
        attempts = (*tried.attempts, *(given.attempts if given else ()))
        yield from helper.check(helper.look(node.own, gpus or None, attempts))


def _root(settings: Settings) -> Path | None:
    """Where device nodes are; a simulated node has some if it was given a root to have them in."""
    if not settings.simulated:
        return Path("/")
    root = simulated.parse(settings.driver.partition(":")[2]).root
    return Path(root) if root else None
