"""A broker with short timings that can be told where to kill itself. Started as the real one is.

It finds its orders in ``orders.json`` in its place; being killed is ordered once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from threading import Lock

import msgspec

from jupyter_mig.broker.agent import Agent
from jupyter_mig.broker.settings import Settings
from jupyter_mig.core.rules import Rules


class KillAt:
    """A seam that ends this process, as SIGKILL does, at the nth point; 0 is never."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._lock = Lock()

    def reached(self, point: str) -> None:
        """Count down."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                (Path(sys.argv[2]) / "killed").write_text(point)
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Be a broker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--inventory", default="auto")
    parser.add_argument("--visible", default="")
    parser.add_argument("--dcgm-exporter", default="")
    parser.add_argument("--keep-reading", type=float, default=15.0)
    given = parser.parse_args()
    file = given.place / "orders.json"
    orders = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**orders, "kill_at": 0}))
    return Agent(
        given.place,
        given.driver,
        given.inventory,
        given.visible,
        Rules(
            rebind_grace=orders["rebind_grace"],
            bind_grace=orders["bind_grace"],
            retry_first=0.02,
            term_grace=0.2,
        ),
        Settings(
            idle=orders["idle"],
            write_retry=0.1,
            observe=orders["observe"],
            request=orders["request"],
            most_leases=orders["most_leases"],
            keep_reading=given.keep_reading,
            dcgm_exporter=given.dcgm_exporter,
        ),
        KillAt(orders["kill_at"]),
    ).run()


if __name__ == "__main__":
    sys.exit(main())
