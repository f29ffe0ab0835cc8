"""What ``jupyterhub_config.py`` is given by us."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from jupyter_mig import errors, hub
from jupyter_mig.hub.culling import owner_of
from jupyter_mig.wire.messages import LeaseView, SliceView

MINUTE = 60.0


def test_importing_needs_no_spawner_and_no_hub() -> None:
    """The module works wherever jupyterhub_config.py is read."""
    heavy = {"jupyterhub", "kubespawner", "dockerspawner", "docker", "tornado", "traitlets"}
    code = f"import sys, jupyter_mig.hub; print(*sys.modules.keys() & {heavy})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_a_profile_for_each_size() -> None:
    """Nothing is proposed that costs a slice, names are for people, limits for Kubernetes."""
    plain, small, large = hub.mig_profile_list({"small": "1g.10gb", "Very large!": "7g.80gb"})
    assert (plain["default"], plain["kubespawner_override"]) == (True, {})
    assert small["display_name"] == "GPU: small"
    assert small["kubespawner_override"] == {
        "extra_resource_limits": {"nvidia.com/mig-1g.10gb": "1"}
    }
    assert large["slug"] == "mig-very-large-"
    assert "default" not in small


def test_without_the_choice_of_no_gpu_the_first_size_is_proposed() -> None:
    """KubeSpawner takes the first profile if none is marked; ours are."""
    first, second = hub.mig_profile_list(["1g.10gb", "full.80gb"], without_gpu=False)
    assert first["default"]
    assert "default" not in second
    assert second["kubespawner_override"]["extra_resource_limits"] == {"nvidia.com/gpu": "1"}
    assert hub.mig_profile_list([], without_gpu=False) == []


def test_slugs_are_unique_for_profiles() -> None:
    """KubeSpawner finds a choice by it."""
    sizes = ["1g.10gb", "1g.10gb+me", "1g.20gb", "2g.20gb", "1c.2g.20gb"]
    slugs = [entry["slug"] for entry in hub.mig_profile_list(sizes)]
    assert len(set(slugs)) == len(slugs)


@pytest.mark.parametrize(
    ("size", "resource"),
    [
        ("1g.5gb", "nvidia.com/mig-1g.5gb"),
        ("1g.5gb+me", "nvidia.com/mig-1g.5gb.me"),
        ("1c.3g.20gb", "nvidia.com/mig-1c.3g.20gb"),
        ("full.24gb", "nvidia.com/gpu"),
    ],
)
def test_sizes_as_the_device_plugin_calls_them(size: str, resource: str) -> None:
    """Resource names may hold no plus."""
    assert hub.mig_resource(size) == resource


@pytest.mark.parametrize("size", ["", "20gb+", "1g.10gb+", "small", "1g.gb", "g.5gb", "1g.10"])
def test_what_kubernetes_cannot_count_is_refused(size: str) -> None:
    """When the configuration is read, not when a user's pod hangs in Pending."""
    with pytest.raises(errors.MalformedSpec):
        hub.mig_profile_list([size])


def test_servers_on_the_node_need_nothing() -> None:
    """Unless the configuration of its broker is in an unusual place."""
    assert hub.local_environment() == {}
    assert hub.local_environment("/opt/b.json") == {"JUPYTER_MIG_SYSTEM": "/opt/b.json"}


def test_servers_in_containers_need_an_address() -> None:
    """Their token the Hub gives them."""
    assert hub.remote_environment("https://n:1") == {"JUPYTER_MIG_URL": "https://n:1"}


def _lease(slice_: SliceView | None) -> LeaseView:
    state = "granted" if slice_ else "waiting"
    return LeaseView("l", "k", state, 1, "1g.5gb", "", 0.0, slice_)  # type: ignore[arg-type]  # one of the states


def test_a_container_gets_the_slice_of_its_lease() -> None:
    """By its UUID, and no other GPU."""
    slice_ = SliceView("MIG-1", "1g.5gb", 5, 14, "GPU-1", 0, "A100", 7)
    (request,) = hub.docker_host_config(_lease(slice_))["device_requests"]
    assert (request["driver"], request["device_ids"]) == ("nvidia", ["MIG-1"])
    assert "gpu" in request["capabilities"][0]
    with pytest.raises(errors.NoRoom):
        hub.docker_host_config(_lease(None))


async def _stops(
    uses: Iterable[hub.Use], inactive_seconds: float | None, limit: float = 60 * MINUTE
) -> bool:
    """As the idle culler asks."""
    asked = []

    async def use_of(name: str) -> Iterable[hub.Use]:
        asked.append(name)
        return uses

    arbiter = hub.Arbiter(use_of, idle_seconds=10 * MINUTE)
    inactive = None if inactive_seconds is None else timedelta(seconds=inactive_seconds)
    server: dict[str, Any] = {"name": "", "full_name": "alice/", "url": "/user/alice/"}
    answer = await arbiter(inactive=inactive, inactive_limit=limit, server=server)
    assert asked == ([] if inactive is None else ["alice"])
    return answer


BUSY = hub.Use(held_seconds=90 * MINUTE, utilization=80.0)
IDLE = hub.Use(held_seconds=90 * MINUTE, utilization=0.2, processes=1)
NEW = hub.Use(held_seconds=1 * MINUTE, utilization=0.0)
UNMEASURED = hub.Use(held_seconds=90 * MINUTE, processes=2)
EMPTY = hub.Use(held_seconds=90 * MINUTE, processes=0)


@pytest.mark.parametrize(
    ("uses", "inactive_minutes", "stops"),
    [
        ([], 59, False),
        ([], 60, True),
        ([BUSY], 600, False),
        ([IDLE, BUSY], 600, False),
        ([UNMEASURED], 600, False),
        ([IDLE], 9, False),
        ([IDLE], 10, True),
        ([EMPTY], 10, True),
        ([NEW], 30, False),
        ([NEW], 60, True),
    ],
)
async def test_who_is_stopped(uses: list[hub.Use], inactive_minutes: float, stops: bool) -> None:
    """Who computes is not; who holds a slice for nothing is sooner; the others as ever."""
    assert await _stops(uses, inactive_minutes * MINUTE) is stops


async def test_a_server_that_says_nothing_is_left_alone() -> None:
    """The culler passes on that nothing is known of its activity."""
    assert not await _stops([IDLE], None)


async def test_the_cullers_limit_is_never_lengthened() -> None:
    """A shorter one counts also for who holds a slice."""
    assert await _stops([IDLE], 5 * MINUTE, limit=5 * MINUTE)


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ({"full_name": "alice/gpu", "url": "/user/x/"}, "alice"),
        ({"url": "/hub/base/user/b%C3%A5b/gpu/"}, "båb"),
        ({}, ""),
    ],
)
def test_whose_a_server_is(server: dict[str, Any], name: str) -> None:
    """In old Hubs only the URL says so."""
    assert owner_of(server) == name
