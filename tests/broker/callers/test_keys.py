"""The read-only key of a lease: who gets it, what it opens, what it does not."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.client import Client
from jupyter_mig.wire import meeting
from jupyter_mig.wire.messages import LeaseRequest, LeaseView
from tests.broker.asking import say
from tests.broker.brokers import Post, until


async def _lease(client: Client, kernel_id: str = "k") -> LeaseView:
    return await client.acquire(LeaseRequest(kernel_id, "1g.5gb", patience_seconds=20))


def _look(post: Post, lease_id: str, key: str, method: str = "GET") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return say(post.socket, method, f"/v1/slice?lease={lease_id}", headers=headers)


async def test_the_key_opens_the_slice_of_its_lease(post: Post) -> None:
    """Which slice it is, on which GPU, and what it is doing."""
    client = post.client()
    lease = await _lease(client)
    assert lease.slice is not None
    mig_uuid = lease.slice.mig_uuid
    key = await client.key(lease.lease_id)
    with post.silicon() as silicon, silicon.cuda_client(mig_uuid, memory_bytes=2**30):

        async def full() -> bool:
            status, seen = _look(post, lease.lease_id, key)
            assert status == 200
            told = (seen["lease_id"], seen["size"], seen["state"], seen["slice"]["mig_uuid"])
            assert told == (lease.lease_id, "1g.5gb", "granted", mig_uuid)
            assert seen["simulated"]
            return int(seen["readings"]["memory_used_bytes"]) >= 2**30

        await until(full)


async def test_a_key_is_good_for_one_lease_and_one_question(post: Post) -> None:
    """Another's slice stays shut, and with the key nothing can be done but look."""
    client = post.client()
    mine, other = await _lease(client), await _lease(client, "other")
    key = await client.key(mine.lease_id)
    assert _look(post, other.lease_id, key)[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        assert _look(post, mine.lease_id, key, method)[0] == 400
    assert [one.state for one in await client.leases()] == ["granted", "granted"]
    seen = _look(post, mine.lease_id, key)[1]
    assert "label" not in seen
    assert other.lease_id not in str(seen)


async def test_a_wrong_key_and_an_unknown_lease_look_the_same(post: Post) -> None:
    """Nobody learns from the answer which leases there are."""
    client = post.client()
    lease = await _lease(client)
    key = await client.key(lease.lease_id)
    answers = [
        _look(post, lease.lease_id, "0" * len(key)),
        _look(post, lease.lease_id, ""),
        _look(post, lease.lease_id, "ü"),
        _look(post, "nobody", key),
        _look(post, "", key),
    ]
    assert [status for status, _ in answers] == [404] * 5
    assert len({str(body) for _, body in answers}) == 1


async def test_the_key_outlives_the_broker(post: Post) -> None:
    """A broker that comes back knows the keys that were given; the secret is its own alone."""
    client = post.client()
    lease = await _lease(client)
    key = await client.key(lease.lease_id)
    post.end(signal.SIGKILL)
    assert await client.key(lease.lease_id) == key
    assert _look(post, lease.lease_id, key)[0] == 200
    assert stat.S_IMODE((post.directory / meeting.KEYS).stat().st_mode) == 0o600


async def test_the_key_of_an_ended_lease_says_so(post: Post) -> None:
    """Also when the broker has forgotten the lease: with the key shown, there was one."""
    client = post.client()
    lease = await _lease(client)
    key = await client.key(lease.lease_id)
    await client.release(lease.lease_id)

    async def over() -> bool:
        return not await client.leases()

    await until(over)
    status, body = _look(post, lease.lease_id, key)
    assert (status, body["kind"]) == (410, errors.LeaseEnded.kind)
    forgotten = Keys.kept_in(post.directory / meeting.KEYS).of("forgotten")
    assert _look(post, "forgotten", forgotten) == (status, body)


async def test_keys_are_for_owners_and_told_nowhere_else(post: Post) -> None:
    """No list, no answer about a lease and no log of the broker's has one."""
    client = post.client()
    lease = await _lease(client)
    key = await client.key(lease.lease_id)
    _look(post, lease.lease_id, key)
    with pytest.raises(errors.UnknownLease):
        await client.key("nobody")
    told = [say(post.socket, "GET", path) for path in ("/v1/leases", "/v1/node", "/v1/history")]
    told.append(say(post.socket, "GET", f"/v1/leases/{lease.lease_id}"))
    assert key not in str(told)
    files = [path for path in post.directory.iterdir() if path.is_file()]
    assert [path.name for path in files if key.encode() in path.read_bytes()] == []


def test_a_secret_that_others_could_know_is_replaced(tmp_path: Path) -> None:
    """So is one that a full disk cut short."""
    path = tmp_path / meeting.KEYS
    first = Keys.kept_in(path).of("a")
    assert Keys.kept_in(path).of("a") == first
    path.chmod(0o640)
    second = Keys.kept_in(path).of("a")
    assert second != first
    os.truncate(path, 5)
    assert Keys.kept_in(path).of("a") not in {first, second}


def test_without_room_for_the_secret_there_are_keys_still(tmp_path: Path) -> None:
    """They last as long as the broker does."""
    keys = Keys.kept_in(tmp_path / "missing" / meeting.KEYS)
    assert keys.fits("a", keys.of("a"))
    assert not keys.fits("a", keys.of("b"))
