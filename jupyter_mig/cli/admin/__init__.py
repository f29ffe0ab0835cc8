"""``jupyter mig admin``: look after a node with a broker for all users."""

from __future__ import annotations

import argparse

from jupyter_mig.cli.admin import driver, gpus, leases, orphans, records

HELP = "look after a node with a broker for all users"


def options(parser: argparse.ArgumentParser) -> None:
    """Its verbs and their arguments."""
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    for topic in (leases, gpus, driver, orphans, records):
        topic.verbs(verbs)


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb below it says."""
    return int(arguments.below(arguments))
