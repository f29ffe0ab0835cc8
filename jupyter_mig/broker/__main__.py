"""``python -m jupyter_mig.broker``: how a client starts a broker. Not meant to be typed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jupyter_mig.broker.agent import Agent


def main(arguments: list[str]) -> int:
    """Be a broker."""
    parser = argparse.ArgumentParser("python -m jupyter_mig.broker", description=__doc__)
    parser.add_argument("--place", type=Path, required=True, help="the broker's directory")
    parser.add_argument("--driver", required=True, help="nvml, or simulated: and a node")
    parser.add_argument("--inventory", choices=("auto", "static", "dynamic"), default="auto")
    chosen = parser.parse_args(arguments)
    return Agent(chosen.place, chosen.driver, chosen.inventory).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
