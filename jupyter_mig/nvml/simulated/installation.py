"""Putting the simulated library in pynvml's place, and taking it away again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pynvml
from msgspec.structs import replace

from .library import Library
from .machine import Machine
from .node import Node
from .processes import boot_id
from .silicon import fresh
from .spec import NodeSpec, parse
from .storage import File, Memory, StateError, Storage


class AlreadyInstalled(RuntimeError):
    """A simulated node is installed in this process; there is room for one."""


@contextmanager
def installed(
    spec: str | NodeSpec,
    *,
    state: Path | None = None,
    time_scale: float | None = None,
    privileged: bool | None = None,
    monitor: bool | None = None,
) -> Iterator[Node]:
    """Make all pynvml code in this process see a simulated node, until the block ends.

    ``spec`` is a node description such as ``2xA100-SXM4-40GB``; the keywords, where given, stand
    before its options. With ``state`` the hardware lives in that file and is shared with other
    processes, and outlives them all; without, it lives in memory and goes with the block.

    pynvml's library, its count of inits and what it caches are put back as they were.

    Raises UnknownDriver for a description that cannot be read, StateError for a file that holds
    another node or nothing readable and for a root that cannot be written, AlreadyInstalled inside
    another such block.
    """
    chosen = {"time_scale": time_scale, "privileged": privileged, "monitor": monitor}
    given = {name: value for name, value in chosen.items() if value is not None}
    wanted = replace(parse(spec) if isinstance(spec, str) else spec, **given)
    machine = opened(wanted, state)
    node = Node(wanted, machine)
    try:
        with _in_place_of_pynvmls(Library.of(machine, wanted)):
            yield node
    finally:
        if state is None:
            machine.take_away()
        node.close()


def attached(state: Path) -> Node:
    """The node whose hardware another process put in that file: to watch it and to meddle.

    Nothing is installed; what is done through it takes no time. Raises StateError when the file
    is not there or not readable.
    """
    machine = attached_machine(state)
    spec = NodeSpec(machine.names, time_scale=0.0, driver=machine.state().driver)
    return Node(spec, machine)


def attached_machine(state: Path) -> Machine:
    """The hardware in that file, whose operations take no time. Raises StateError."""
    storage = File(state)
    found = storage.read()
    return Machine(found.models, storage, 0.0, found.driver)


def opened(spec: NodeSpec, state: Path | None) -> Machine:
    """The hardware that a file holds, or new hardware. Raises StateError."""
    machine = Machine(spec.models, _storage(spec, state), spec.time_scale, spec.driver)
    try:
        machine.lay_out()
    except OSError as error:
        raise StateError(
            f"the simulated driver's files and nodes cannot be laid out in {spec.root}: {error}"
        ) from error
    return machine


def _storage(spec: NodeSpec, state: Path | None) -> Storage:
    if state is None:
        return Memory(fresh(spec, boot_id()))
    return File.opened(state, spec)


@contextmanager
def _in_place_of_pynvmls(library: Library) -> Iterator[None]:
    """Swap pynvml's three globals; its own lock keeps its other users out meanwhile.

    Error texts it learned from us, it forgets again.
    """
    ours = {"nvmlLib": library, "_nvmlLib_refcount": 0, "_nvmlGetFunctionPointer_cache": {}}
    globals_of_pynvml = vars(pynvml)
    with pynvml.libLoadLock:
        if isinstance(pynvml.nvmlLib, Library):
            raise AlreadyInstalled(
                "A simulated node is already installed in this process; leave that block first,"
                " or describe all GPUs as one node (1xA30,1xH200)"
            )
        before = {name: globals_of_pynvml[name] for name in ours}
        texts = vars(pynvml.NVMLError)["_errcode_to_string"]
        texts_before = dict(texts)
        globals_of_pynvml.update(ours)
    try:
        yield
    finally:
        library.unload()
        with pynvml.libLoadLock:
            globals_of_pynvml.update(before)
            texts.clear()
            texts.update(texts_before)
