"""Spawners whose servers run in containers: the broker cannot see their processes."""

from __future__ import annotations

from typing import Any

from jupyter_mig.errors import NoRoom
from jupyter_mig.wire.messages import LeaseView

_CAPABILITIES = ["compute", "utility"]


def remote_environment(url: str) -> dict[str, str]:
    """For ``Spawner.environment``, where each kernel is to have a size of its own: the broker's TCP
    door, ``https://node7:8123``. The Hub gives each server the token that opens it, if
    ``Spawner.server_token_scopes`` has the scope. The container needs the node's GPUs.
    """
    return {"JUPYTER_MIG_URL": url}


def docker_host_config(lease: LeaseView) -> dict[str, Any]:
    """For ``DockerSpawner.extra_host_config``, where the server as a whole is to have the slice of
    a lease made when it was spawned: the container gets this slice and no other.

    Raises NoRoom for a lease that has none (yet).
    """
    if lease.slice is None:
        raise NoRoom(
            f"Lease {lease.lease_id} has no slice to start a container with.",
            situation=f"It is {lease.state}.",
        )
    request = {
        "driver": "nvidia",
        "device_ids": [lease.slice.mig_uuid],
        "capabilities": [["gpu", *_CAPABILITIES]],
    }
    return {"device_requests": [request]}
