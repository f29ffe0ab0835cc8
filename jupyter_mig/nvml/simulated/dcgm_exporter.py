"""A simulated dcgm-exporter: what the real one exposes of a node, of a simulated one, on loopback.

On Ampere boards it is the one way to a slice's utilization, simulated ones included: their NVML
refuses. It collects when it is asked, at most every ``collect_seconds``; between collections it
says the same again. ``sampling`` says what is measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import sampling
from .identity import gpu_uuid, minor_number, pci_address
from .installation import attached_machine
from .machine import Machine
from .sampling import Sample
from .silicon import GpuInstance
from .storage import StateError

COLLECT_SECONDS = 2.0
"""The real one's default is 30 s."""

_HELP = {
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": "Simulated: ratio of time the graphics engine is active.",
    "DCGM_FI_PROF_SM_ACTIVE": "Simulated: the ratio of cycles an SM has at least 1 warp assigned.",
}


class DcgmExporter:
    """What is exposed of the node whose file is ``state``; that may come into being later."""

    def __init__(self, state: Path, collect_seconds: float = COLLECT_SECONDS) -> None:
        self._state = state
        self._collect_seconds = collect_seconds
        self._lock = threading.Lock()
        self._machine: Machine | None = None
        self._samples: dict[int, Sample] = {}
        self._collected_at: float | None = None
        self._text = ""

    def close(self) -> None:
        """Let go of the file."""
        if self._machine is not None:
            self._machine.storage.close()

    def text(self) -> str:
        """What is exposed now. Raises StateError while there is no node."""
        with self._lock:
            now = time.monotonic()
            if self._collected_at is None or now - self._collected_at >= self._collect_seconds:
                self._machine = self._machine or attached_machine(self._state)
                self._text = "\n".join(self._collect(self._machine, now)) + "\n"
                self._collected_at = now
            return self._text

    def _collect(self, machine: Machine, now: float) -> Iterator[str]:
        """The lines of the profiling fields, then a counter that is never twice the same."""
        state, samples, values = machine.state(), dict[int, Sample](), list[tuple[str, float]]()
        for gpu, has in enumerate(state.gpus):
            for one in has.instances:
                sample = sampling.taken(sampling.shown(state, [one]))
                before = self._samples.get(one.serial, sample)
                samples[one.serial] = sample
                values.append((_labels(machine, gpu, one), before.busy_percent_until(sample) / 100))
        self._samples = samples
        for field, help_text in _HELP.items():
            yield f"# HELP {field} {help_text}"
            yield f"# TYPE {field} gauge"
            yield from (f"{field}{{{labels}}} {value:f}" for labels, value in values)
        for gpu, model in enumerate(machine.models):
            millijoules = int(model.idle_power_milliwatts * now)
            labels = _labels(machine, gpu)
            yield f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{labels}}} {millijoules}"


def _labels(machine: Machine, gpu: int, instance: GpuInstance | None = None) -> str:
    labels = {
        "gpu": gpu,
        "UUID": gpu_uuid(machine.names, gpu),
        "pci_bus_id": pci_address(gpu),
        "device": f"nvidia{minor_number(len(machine.models), gpu)}",
        "modelName": machine.models[gpu].product_name,
    }
    if instance is not None:
        labels["GPU_I_PROFILE"] = machine.profile_of(gpu, instance).name
        labels["GPU_I_ID"] = instance.id
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


@contextmanager
def serving(state: Path, collect_seconds: float = COLLECT_SECONDS) -> Iterator[str]:
    """Answer at the address that is given, until the block ends. Without a node, with 503."""
    exporter = DcgmExporter(state, collect_seconds)
    with closing(exporter), _Server(exporter) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, exporter: DcgmExporter) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exporter = exporter


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer with the text, whatever the path."""
        try:
            body, status = self.server.exporter.text().encode(), 200
        except StateError as error:
            body, status = str(error).encode(), 503
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its signature
        """Keep quiet."""
