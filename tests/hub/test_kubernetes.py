"""The sizes on offer, as the real KubeSpawner makes pods of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.config import kube_config
from kubespawner import KubeSpawner

from jupyter_mig import hub
from tests.hub.spawners import user_of

SIZES = {"small": "1g.10gb", "with media": "1g.10gb+me", "all": "full.80gb"}


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The spawner wants to know of a cluster, though it need not talk to it to make a pod."""
    config = {
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "tests", "user": {}}],
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file))


async def _limits(chosen: str | None, **choices: Any) -> dict[str, str]:
    """The resources of the pod that a user gets who chose that."""
    profiles = hub.mig_profile_list(SIZES, **choices)
    with user_of(KubeSpawner, "alice", profile_list=profiles) as user:
        spawner = user.spawner
        spawner.user_options = {} if chosen is None else {"profile": chosen}
        await spawner.load_user_options()
        pod = (await spawner.get_pod_manifest()).to_dict()
    (container,) = pod["spec"]["containers"]
    resources = container["resources"]
    return {**(resources["limits"] or {}), **(resources["requests"] or {})}


@pytest.mark.parametrize(
    ("chosen", "resource"),
    [
        ("mig-small", "nvidia.com/mig-1g.10gb"),
        ("mig-with-media", "nvidia.com/mig-1g.10gb.me"),
        ("mig-all", "nvidia.com/gpu"),
    ],
)
async def test_a_pod_has_one_slice_of_the_size_that_was_chosen(chosen: str, resource: str) -> None:
    """As a limit: Kubernetes takes it for the request of an extended resource, too."""
    assert await _limits(chosen) == {resource: "1"}


@pytest.mark.parametrize("chosen", ["no-gpu", None])
async def test_a_pod_without_a_gpu_asks_for_none(chosen: str | None) -> None:
    """Neither who chose that, nor who chose nothing."""
    assert await _limits(chosen) == {}


async def test_who_chooses_nothing_gets_the_first_size_where_there_is_no_other_choice() -> None:
    """It is marked as the default."""
    assert await _limits(None, without_gpu=False) == {"nvidia.com/mig-1g.10gb": "1"}
