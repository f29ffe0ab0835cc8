"""``python -m jupyter_mig.hub``: the page, as a service that JupyterHub starts."""

from __future__ import annotations

import asyncio

from jupyter_mig.hub.service import serve

asyncio.run(serve())
