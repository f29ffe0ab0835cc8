"""For ``jupyterhub_config.py``: what spawners, and the idle culler, are to be told about slices.

Pure functions. No spawner is needed to import them.

::

    from jupyter_mig import hub

    c.KubeSpawner.profile_list = hub.mig_profile_list(["1g.10gb", "3g.40gb"])
"""

from __future__ import annotations

from jupyter_mig.hub.containers import docker_host_config, remote_environment
from jupyter_mig.hub.culling import Arbiter, Use
from jupyter_mig.hub.local import local_environment
from jupyter_mig.hub.node_use import NodeUse
from jupyter_mig.hub.profiles import mig_profile_list, mig_resource

__all__ = [
    "Arbiter",
    "NodeUse",
    "Use",
    "docker_host_config",
    "local_environment",
    "mig_profile_list",
    "mig_resource",
    "remote_environment",
]
