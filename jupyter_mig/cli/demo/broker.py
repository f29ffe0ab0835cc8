"""The end of the demo's broker, and with it of its simulated node."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Mapping

from jupyter_mig.cli.conversation import hold
from jupyter_mig.client import Client
from jupyter_mig.errors import BrokerError

_PATIENCE_SECONDS = 5


def end(environ: Mapping[str, str]) -> None:
    """Ask the broker to go and see it gone."""
    try:
        process = os.pidfd_open(hold(Client.broker, environ).pid)
    except (BrokerError, ProcessLookupError):  # it is gone
        return
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], _PATIENCE_SECONDS)[0]:
            signal.pidfd_send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)
