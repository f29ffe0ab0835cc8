"""``python -m jupyter_mig.broker``: how a client starts a broker. Not meant to be typed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jupyter_mig.broker.agent import Agent
from jupyter_mig.broker.settings import Settings


def main(arguments: list[str]) -> int:
    """Be a broker."""
    parser = argparse.ArgumentParser("python -m jupyter_mig.broker", description=__doc__)
    parser.add_argument("--place", type=Path, required=True, help="the broker's directory")
    parser.add_argument("--driver", required=True, help="nvml, or simulated: and a node")
    parser.add_argument("--inventory", default="auto", help="such as: dynamic:0 static")
    parser.add_argument("--visible", default="", help="lines of NAME=value")
    parser.add_argument("--dcgm-exporter", default="", help="http://127.0.0.1:9400/metrics")
    parser.add_argument("--keep-reading", type=float, default=15.0, help="seconds; 0 is never")
    chosen = parser.parse_args(arguments)
    settings = Settings(keep_reading=chosen.keep_reading, dcgm_exporter=chosen.dcgm_exporter)
    return Agent(
        chosen.place, chosen.driver, chosen.inventory, chosen.visible, settings=settings
    ).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
