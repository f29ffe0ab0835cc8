"""The names of the files through which a broker and its clients meet, in the broker's place."""

from __future__ import annotations

SOCKET = "broker.sock"
"""The door. Mode 0600; ``curl --unix-socket`` works."""

LOCK = "broker.lock"
"""Locked (flock) by the broker for as long as it lives, and holds its pid. Never removed."""

STARTING = "starting.lock"
"""Locked (flock) by the client that starts a broker. Never removed."""

START_ERROR = "start-error.json"
"""An ``ErrorBody``: why the last start failed."""

OUTPUT = "broker.out"
"""Whatever the broker's process wrote to its standard output and error."""

DIARY = "broker.log"
"""What the broker did and why, for people."""

EVENTS = "log.sqlite"
"""The event log, which is the broker's memory."""

SILICON = "simulated.json"
"""The hardware of a simulated node."""

KEYS = "keys.secret"
"""What the read-only keys of leases are made with. Mode 0600."""

ANNALS = "annals.sqlite"
"""A system broker's record of what happened to leases, for administrators."""

LONGEST_SOCKET_PATH_BYTES = 107
"""``sun_path`` of unix(7) holds 108 bytes with the closing NUL."""

SYSTEM_CONFIGURATION = "/etc/jupyter/jupyter_mig_broker.json"
"""The file that makes a node one with a system broker: who finds it starts no broker of its own."""

SYSTEM_SOCKET = "/run/jupyter-mig/broker.sock"
"""Where a system broker listens unless the file says otherwise."""

SYSTEM_USER = "jupyter-mig"
"""The user it runs as unless the file says otherwise."""
