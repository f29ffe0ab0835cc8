"""The provisioner by itself, with a real broker and real processes, without a server."""

from __future__ import annotations

import os
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.multikernelmanager import AsyncMultiKernelManager

from jupyter_mig.errors import MalformedSpec, NoRoom
from jupyter_mig.kernels.provisioner import (
    BLOCKING_PATIENCE_SECONDS,
    PATIENCE_SECONDS,
    MIGProvisioner,
)
from jupyter_mig.kernels.refusals import StartRefused
from jupyter_mig.wire.messages import LeaseRequest
from tests.server.servers import Home


@pytest.fixture
def here(user: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This process is the user's: it has a kernelspec called mine."""
    user.kernelspec("mine", "1g.5gb")
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)
    return user


def _provisioner(**traits: Any) -> MIGProvisioner:
    spec = KernelSpecManager().get_kernel_spec("mine")
    return MIGProvisioner(kernel_id="k", kernel_spec=spec, **{"size": "1g.5gb", **traits})


async def test_a_lease_that_is_over_before_its_kernel_runs(here: Home) -> None:
    """The process that was started for it is ended again, and the start is refused."""
    provisioner = _provisioner()
    launch = await provisioner.pre_launch()
    (lease,) = await here.leases()
    await here.client.release(lease.lease_id)
    with pytest.raises(StartRefused):
        await provisioner.launch_kernel(launch.pop("cmd"), **launch)
    assert not provisioner.has_process
    assert provisioner.pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(provisioner.pid, 0)
    await here.empty()


async def test_the_lease_moves_to_another_server(here: Home) -> None:
    """By the information that Jupyter keeps for servers that outlive their process."""
    first = _provisioner()
    await first.pre_launch()
    second = _provisioner()
    await second.load_provisioner_info(await first.get_provisioner_info())
    assert second.lease == first.lease
    await second.cleanup(restart=False)
    await here.empty()
    empty = _provisioner()
    await empty.load_provisioner_info(await second.get_provisioner_info())
    assert empty.lease is None


async def test_no_lease_is_lost_by_a_cleanup_for_a_restart(here: Home) -> None:
    """And the second, final one may come twice, as from nbclient."""
    provisioner = _provisioner()
    await provisioner.pre_launch()
    held = provisioner.lease
    await provisioner.cleanup(restart=True)
    await provisioner.pre_launch()
    assert provisioner.lease is not None
    assert held is not None
    assert provisioner.lease.lease_id == held.lease_id
    for _ in range(2):
        await provisioner.cleanup(restart=False)
    await here.empty()


@pytest.mark.parametrize("traits", [{"size": 5}, {"patience_seconds": "soon"}])
def test_a_malformed_spec_is_refused_in_our_words(here: Home, traits: dict[str, Any]) -> None:
    """The stanza's config becomes traits; what they say of a wrong one has quotes and a class."""
    with pytest.raises(StartRefused) as refused:
        _provisioner(**traits)
    assert isinstance(refused.value.error, MalformedSpec)
    assert next(iter(traits)) in refused.value.error.situation
    assert "'" not in str(refused.value)


async def test_a_spec_without_a_size_is_refused(here: Home) -> None:
    """As happens when a stanza has no config."""
    with pytest.raises(StartRefused, match="size is missing"):
        await _provisioner(size="").pre_launch()


@pytest.mark.parametrize(
    ("pending", "patience"), [(True, PATIENCE_SECONDS), (False, BLOCKING_PATIENCE_SECONDS)]
)
def test_patience_is_short_where_a_start_blocks(
    here: Home, *, pending: bool, patience: float
) -> None:
    """A server without pending kernels holds the request until the kernel runs."""
    kernels = AsyncMultiKernelManager(use_pending_kernels=pending)
    assert _provisioner(parent=AsyncKernelManager(parent=kernels)).patience_seconds == patience


def test_patience_is_long_without_a_server(here: Home) -> None:
    """A notebook run by nbclient has nobody who types meanwhile."""
    assert _provisioner(parent=AsyncKernelManager()).patience_seconds == PATIENCE_SECONDS


async def test_a_start_in_the_place_of_another_kernel(here: Home) -> None:
    """It takes the room kept for it, though others wait; what Jupyter launches knows nothing of
    that, and a restart, which Jupyter gives the same arguments, goes by the lease held.
    """
    old = _provisioner(size="7g.40gb")
    await old.pre_launch()
    assert old.lease is not None
    change = {"instead_of": old.lease.lease_id, "patience_seconds": 30.0}
    await here.client.resize(old.lease.lease_id, "4g.20gb")
    wish = LeaseRequest("other", "4g.20gb", patience_seconds=None)
    other = await here.client.request(wish)
    await old.cleanup(restart=False)
    new = MIGProvisioner(kernel_id="new", kernel_spec=old.kernel_spec, size="4g.20gb")
    launch = await new.pre_launch(**change)
    assert launch.keys().isdisjoint(change)
    assert (await here.client.lease(other.lease_id)).state == "waiting"
    held = new.lease
    launch = await new.pre_launch(**change)
    assert launch.keys().isdisjoint(change)
    assert new.lease is not None
    assert held is not None
    assert new.lease.lease_id == held.lease_id
    await here.client.release(other.lease_id)
    await new.cleanup(restart=False)
    await here.empty()


async def test_now_or_never(here: Home) -> None:
    """The patience of one start, whatever is configured."""
    holding = _provisioner(size="7g.40gb")
    await holding.pre_launch()
    new = MIGProvisioner(kernel_id="new", kernel_spec=holding.kernel_spec, size="1g.5gb")
    with pytest.raises(StartRefused) as refused:
        await new.pre_launch(patience_seconds=0.0)
    assert isinstance(refused.value.error, NoRoom)
    await holding.cleanup(restart=False)
    await here.empty()
