"""How Jupyter Server takes us in: once before its parts are made, once after.

Nothing here may break the server: where there is no GPU or no broker, there are no sizes in the
picker and one line in the log that says why.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.log import app_log
from traitlets.config import Config

from jupyter_mig.client import Client, Settings
from jupyter_mig.client.shared import Shared
from jupyter_mig.kernels.picker import MIGPicker
from jupyter_mig.server.handlers import HANDLERS, HISTORY, OVERVIEW, SETTING, SWITCHES
from jupyter_mig.server.logging import RefusalsInOneLine
from jupyter_mig.server.newsroom import MIGNews
from jupyter_mig.server.overview import FRESH_SECONDS, MIGOverview
from jupyter_mig.server.sizes import MIGSizes
from jupyter_mig.server.starts import MIGStarts
from jupyter_mig.server.switches import MIGSwitches


def _link_jupyter_server_extension(serverapp: ServerApp) -> None:
    """Switch pending kernels on, unless somebody decided about them: while a kernel waits for a
    slice, cells typed queue instead of being lost, and stopping it works.

    The server's parts do not exist yet; reading their classes here would break them.
    """
    decided = any(
        isinstance(section, Config) and "use_pending_kernels" in section
        for section in serverapp.config.values()
    )
    if not decided:
        serverapp.config.AsyncMultiKernelManager.use_pending_kernels = True


def _load_jupyter_server_extension(serverapp: ServerApp) -> None:
    """Add the routes, and look for sizes as soon as the server runs."""
    if serverapp.gateway_config.gateway_enabled:
        serverapp.log.info(
            "jupyter_mig: kernels run behind a gateway, so the picker shows no sizes of this node."
        )
        return
    refusals = RefusalsInOneLine()
    for logger in (serverapp.log, app_log):
        logger.addFilter(refusals)
    client = Client(Settings.from_environment(os.environ))
    starts = MIGStarts(parent=serverapp, client=client)
    sizes = MIGSizes(parent=serverapp, client=client, picker=_picker(serverapp))
    overview = MIGOverview(client)
    news = MIGNews(parent=serverapp, client=client, overview=overview)
    web_app: Any = serverapp.web_app
    web_app.settings[SETTING] = starts
    web_app.settings[OVERVIEW] = overview
    web_app.settings[HISTORY] = Shared(client.history, FRESH_SECONDS)
    web_app.settings[SWITCHES] = MIGSwitches(parent=serverapp, client=client, starts=starts)
    base = url_path_join(serverapp.base_url, "jupyter-mig")
    web_app.add_handlers(".*$", [(url_path_join(base, route), each) for route, each in HANDLERS])
    serverapp.io_loop.add_callback(sizes.start)
    serverapp.io_loop.add_callback(starts.watch)
    serverapp.io_loop.add_callback(news.watch)
    atexit.register(client.close)


def _picker(serverapp: ServerApp) -> MIGPicker:
    picker = MIGPicker(
        parent=serverapp,
        specs=serverapp.kernel_spec_manager,
        default_kernel=serverapp.kernel_manager.default_kernel_name,
    )
    atexit.register(picker.close)
    return picker
