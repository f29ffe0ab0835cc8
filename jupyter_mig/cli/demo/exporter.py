"""The demo's dcgm-exporter: without one, A100s tell no utilization, simulated ones included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from jupyter_mig.client import Settings, place
from jupyter_mig.client.settings import EXPORTER_VARIABLE
from jupyter_mig.wire import meeting


@contextmanager
def exporting(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment, with the address of an exporter of its broker's node, until the end."""
    from jupyter_mig.nvml.simulated import dcgm_exporter

    state = place.directory_for(Settings.from_environment(environ)) / meeting.SILICON
    with dcgm_exporter.serving(state) as address:
        yield {**environ, EXPORTER_VARIABLE: address}
