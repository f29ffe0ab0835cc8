"""What the exit status of ``jupyter mig`` means. Scripts rely on it: numbers never change.

===  ==========================================================================
0    done
1    an error of ours that is none of the following
2    usage: the command line, a size, a driver name or a setting cannot be understood
3    refused: understood, and the answer is no (no room, not your lease, it is over)
4    the node cannot be used: no driver, no permission, no broker, no log
126  ``run``: the command is there and cannot be executed
127  ``run``: there is no such command
130  interrupted (Ctrl-C); ``demo`` and ``top`` are ended so and give 0
141  whoever read the output left
===  ==========================================================================
"""

from __future__ import annotations

from enum import IntEnum

from jupyter_mig.errors import (
    BadRequest,
    BrokerError,
    DriverError,
    JupyterMigError,
    LogError,
    Refused,
)


class Exit(IntEnum):
    """The numbers; see the module's table."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNUSABLE = 4
    NOT_EXECUTABLE = 126
    NO_COMMAND = 127
    INTERRUPTED = 130
    NOBODY_READS = 141


def of(error: JupyterMigError) -> Exit:
    """The exit status that tells a script what kind of error it was."""
    match error:
        case BadRequest():
            return Exit.USAGE
        case Refused():
            return Exit.REFUSED
        case DriverError() | BrokerError() | LogError():
            return Exit.UNUSABLE
        case _:
            return Exit.FAILED
