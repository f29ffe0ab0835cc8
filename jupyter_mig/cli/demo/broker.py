"""The end of the demo's broker, and with it of its simulated node."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Mapping

from jupyter_mig.cli.conversation import hold
from jupyter_mig.client import Client, Settings
from jupyter_mig.client.settings import SOCKET_VARIABLE
from jupyter_mig.errors import BrokerError

_PATIENCE_SECONDS = 5


def end(environ: Mapping[str, str]) -> None:
    """Ask the broker to go and see it gone; harmless when it is."""
    door = Client(Settings.from_environment(environ)).socket
    try:
        # With its door named, none is started where there is none.
        there = hold(Client.broker, {**environ, SOCKET_VARIABLE: str(door)})
        process = os.pidfd_open(there.pid)
    except (BrokerError, ProcessLookupError):
        return
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], _PATIENCE_SECONDS)[0]:
            signal.pidfd_send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)
