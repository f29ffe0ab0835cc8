"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from jupyter_mig.cli.doctor import (
    broker,
    claimants,
    driver,
    nodes,
    place,
    server,
    slices,
    specs,
    variables,
    versions,
)
from jupyter_mig.cli.doctor.driver import DriverFacts
from jupyter_mig.cli.doctor.finding import Finding
from jupyter_mig.cli.doctor.nodes import NodeFacts
from jupyter_mig.client import Settings
from jupyter_mig.client.place import directory_for
from jupyter_mig.nvml import simulated
from jupyter_mig.wire import meeting


class Report(msgspec.Struct, frozen=True):
    """The findings, and whether they are about a simulated node."""

    simulated: bool
    findings: tuple[Finding, ...]


def examine(environ: Mapping[str, str], *, start: bool = False) -> Report:
    """Look at everything that the environment points to. Never raises an error of ours."""
    settings = Settings.from_environment(environ)
    if start:
        broker.start(environ)
    hardware = driver.look(settings, directory_for(settings))
    simulation = hardware.examined is not None and hardware.examined.simulated
    return Report(settings.simulated or simulation, tuple(_findings(settings, environ, hardware)))


def _findings(
    settings: Settings, environ: Mapping[str, str], hardware: DriverFacts
) -> Iterator[Finding]:
    directory = directory_for(settings)
    door = settings.socket or directory / meeting.SOCKET
    yield from variables.check(environ)
    yield from versions.check(versions.look())
    yield from driver.check(hardware)
    if hardware.examined is not None:
        root = _root(settings)
        gpus = hardware.examined.gpus
        yield from nodes.check(nodes.look(root, gpus) if root else NodeFacts())
        yield from claimants.check(claimants.look(root, gpus, settings, environ))
    home = place.look(settings, directory)
    yield from place.check(home)
    there = broker.look(settings, door, listens=place.listens(door))
    yield from broker.check(there)
    if there.node is not None:
        yield from slices.check(slices.look(there.node))
    yield from specs.check(specs.look(settings, there.node))
    yield from server.check(server.look())


def _root(settings: Settings) -> Path | None:
    """Where device nodes are; a simulated node has some if it was given a root to have them in."""
    if not settings.simulated:
        return Path("/")
    root = simulated.parse(settings.driver.partition(":")[2]).root
    return Path(root) if root else None
