"""``jupyter mig broker``: one broker for all users of this node, in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path

from jupyter_mig.wire import meeting

HELP = "run the broker for all users of this node, in the foreground"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(meeting.SYSTEM_CONFIGURATION),
        help="the node's configuration (%(default)s)",
    )
    parser.add_argument("--check", action="store_true", help="read it, say what it means, and end")


def run(arguments: argparse.Namespace) -> int:
    """Run until told to end."""
    from jupyter_mig.broker.claimants import search
    from jupyter_mig.broker.system import configuration, directories, trial
    from jupyter_mig.broker.system.processes import SystemBroker

    own = configuration.read(arguments.config)
    claimants = search.search(search.root_of(own.driver))
    if arguments.check:
        directories.check(own)
        trial.require_startable(own)
        isolation = "closed to other users" if own.isolation else "open to all users"
        print(f"{arguments.config} can be used.")
        print(f"It listens at {own.socket} as {own.user}, with the driver {own.driver}.")
        if own.listen:
            print(f"By TCP it listens at {own.listen}, for users of the Hub at {own.hub_api_url}.")
        print(f"GPUs: {', '.join(own.listed)}. Device nodes of slices: {isolation}.")
        for one in claimants:
            print(one)
        return 0
    return SystemBroker(own, claimants).run()
