"""The client's side of the broker's door: find a broker or start one, ask it, survive its death.

::

    client = Client(Settings.from_environment(os.environ))
    lease = await client.acquire(LeaseRequest(kernel_id=..., size="1g.10gb"))
    ...
    await client.release(lease.lease_id)
"""

from __future__ import annotations

from jupyter_mig.client.client import Client
from jupyter_mig.client.settings import Settings

__all__ = ["Client", "Settings"]
