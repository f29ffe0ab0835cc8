"""Spawners whose servers are processes of Unix users on the node: LocalProcessSpawner,
SystemdSpawner, SudoSpawner. Their servers find the broker by themselves, and the kernel tells it
who they are: there is next to nothing to pass on.
"""

from __future__ import annotations

_SYSTEM = "JUPYTER_MIG_SYSTEM"


def local_environment(configuration: str = "") -> dict[str, str]:
    """For ``Spawner.environment``: nothing, unless the broker's configuration is elsewhere than
    in ``/etc/jupyter``.
    """
    return {_SYSTEM: configuration} if configuration else {}
