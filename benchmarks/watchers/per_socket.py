"""The usual design, as a Jupyter Server extension: a timer for each socket, and a pass over NVML
for each tick of each timer. It tells what our overview tells of slices: memory used and in all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.ioloop import PeriodicCallback
from tornado.websocket import WebSocketHandler

from jupyter_mig.nvml.driver import open_driver

PERIOD_SECONDS = 2.0
"""As often as our front end asks while its panel is open."""

PATH = "benchmark-per-socket"

SILICON = "BENCHMARK_SILICON"
"""The environment variable with the file in which the simulated node is kept."""


class Readings(JupyterHandler, WebSocketHandler):
    """One tab."""

    driver: Any

    def initialize(self, driver: Any) -> None:
        """Tornado hands over the driver: one session for all, as dashboards have it."""
        self.driver = driver

    def open(self, *_: str, **__: str) -> None:
        """Begin to tick."""
        self.callback = PeriodicCallback(self.send, PERIOD_SECONDS * 1000)
        self.callback.start()

    def on_close(self) -> None:
        """Stop."""
        self.callback.stop()

    def send(self) -> None:
        """One pass."""
        slices = [
            {"profile": one.profile_name, "memory": self.driver.memory(one.identity)}
            for gpu in self.driver.gpus()
            for one in self.driver.instances(gpu.uuid)
        ]
        self.write_message(json.dumps(slices))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    driver = open_driver(os.environ["JUPYTER_MIG_DRIVER"], Path(os.environ[SILICON]))
    path = url_path_join(serverapp.base_url, PATH)
    serverapp.web_app.add_handlers(".*$", [(path, Readings, {"driver": driver})])
