"""Ports that are held for a kernel: nobody gets them by chance, and the kernel can bind them."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import zmq
from jupyter_client.manager import AsyncKernelManager

from jupyter_mig.kernels.ports import NAMES, HeldPorts

BIND = "import sys, zmq; zmq.Context().socket(zmq.ROUTER).bind(sys.argv[1]); print('bound')"


def _manager() -> AsyncKernelManager:
    return AsyncKernelManager()


def _chosen(manager: AsyncKernelManager) -> list[int]:
    return [getattr(manager, name) for name in NAMES]


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_nobody_is_given_a_held_port() -> None:
    """Neither for listening nor for calling out: the system passes over ports that are held."""
    kernels = [(HeldPorts(), _manager()) for _ in range(40)]
    for ports, manager in kernels:
        ports.hold(manager)
    held = {port for _, manager in kernels for port in _chosen(manager)}
    assert len(held) == 40 * len(NAMES)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(3000):
            with socket.socket() as other, socket.socket() as caller:
                other.bind(("127.0.0.1", 0))
                caller.connect(server.getsockname())
                server.accept()[0].close()
                assert not held & {other.getsockname()[1], caller.getsockname()[1]}
    for ports, _ in kernels:
        ports.close()


def test_zeromq_may_bind_it_again_and_again() -> None:
    """As kernels do, over restarts; and answer there."""
    ports, manager = HeldPorts(), _manager()
    ports.hold(manager)
    address = f"tcp://127.0.0.1:{manager.shell_port}"
    for _ in range(3):
        bound = subprocess.run(
            [sys.executable, "-c", BIND, address], check=True, capture_output=True, text=True
        )
        assert bound.stdout == "bound\n"
    with zmq.Context() as context, context.socket(zmq.REP) as kernel:
        kernel.bind(address)
        client = context.socket(zmq.REQ)
        client.connect(address)
        client.send(b"ping")
        assert kernel.recv() == b"ping"
        client.close()
    ports.close()


def test_they_are_held_until_let_go_and_over_restarts() -> None:
    """A second start has the same ports; after a failed one others may be chosen."""
    ports, manager = HeldPorts(), _manager()
    ports.hold(manager)
    chosen = _chosen(manager)
    ports.hold(manager)
    assert _chosen(manager) == chosen
    assert not any(map(_bindable, chosen))
    ports.let_go(manager)
    assert _chosen(manager) == [0] * len(NAMES)
    assert all(map(_bindable, chosen))


def test_they_go_with_a_kernel_that_nobody_cleans_up() -> None:
    """Jupyter drops some kernels without a word."""
    ports, manager = HeldPorts(), _manager()
    ports.hold(manager)
    port = manager.shell_port
    assert not _bindable(port)
    del ports
    gc.collect()
    assert _bindable(port)


@pytest.mark.parametrize("manager", [None, SimpleNamespace(transport="ipc")])
def test_without_ports_there_is_nothing_to_hold(manager: SimpleNamespace | None) -> None:
    """A provisioner by itself has no manager; ipc has paths instead of ports."""
    ports = HeldPorts()
    ports.hold(manager)
    ports.close()
