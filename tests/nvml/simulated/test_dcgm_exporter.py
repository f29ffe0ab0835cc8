"""The simulated dcgm-exporter, over HTTP."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated import dcgm_exporter
from jupyter_mig.nvml.simulated.processes import processor_seconds_of_tree

NODE = "1xA100-SXM4-40GB,1xA30?time_scale=0"
FIELD = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the node keeps its hardware."""
    return tmp_path / "silicon.json"


@pytest.fixture
def node(state: Path) -> Iterator[simulated.Node]:
    """Two boards that refuse GPM."""
    with simulated.installed(NODE, state=state) as there:
        yield there


def text_at(address: str) -> str:
    """What is exposed."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())


def ratios(text: str) -> dict[str, float]:
    """Engine activity by instance id."""
    rows = [line for line in text.splitlines() if line.startswith(FIELD)]
    return {row.split('GPU_I_ID="')[1].split('"')[0]: float(row.split()[-1]) for row in rows}


def test_a_busy_process_shows_on_its_instance_and_no_other(
    node: simulated.Node, state: Path
) -> None:
    """As a part of 1, since the collection before; labelled as the real one labels it."""
    busy, _idle = node.create(0, "1g.5gb", 0), node.create(0, "3g.20gb", 4)
    by_id = {one.compute_instances[0].mig_uuid: str(one.id) for one in node.gpus[0].instances}
    with dcgm_exporter.serving(state, collect_seconds=0) as address:
        worker = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        node.mirror(busy, worker.pid)
        assert set(ratios(text_at(address)).values()) == {0.0}
        begin = processor_seconds_of_tree(worker.pid)
        while processor_seconds_of_tree(worker.pid) < begin + 0.1:
            time.sleep(0)
        text = text_at(address)
        worker.kill()
        worker.wait()
    found = ratios(text)
    assert 0 < found.pop(by_id[busy]) <= 1
    assert list(found.values()) == [0.0]
    assert f'UUID="{node.gpus[0].uuid}"' in text
    assert 'GPU_I_PROFILE="1g.5gb"' in text
    assert "Simulated: " in text


def test_between_collections_it_says_the_same(node: simulated.Node, state: Path) -> None:
    """And another thing after each: the energy that was used grows."""
    with dcgm_exporter.serving(state, collect_seconds=3600) as address:
        assert text_at(address) == text_at(address)
    with dcgm_exporter.serving(state, collect_seconds=0) as address:
        assert text_at(address) != text_at(address)


def test_without_a_node_it_is_unavailable_until_there_is_one(state: Path) -> None:
    """It may be started first."""
    with dcgm_exporter.serving(state) as address:
        with pytest.raises(urllib.error.HTTPError) as caught:
            text_at(address)
        assert caught.value.code == 503
        caught.value.close()
        with simulated.installed(NODE, state=state):
            assert "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" in text_at(address)
