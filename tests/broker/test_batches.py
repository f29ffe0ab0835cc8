"""Several requests in one: planned together, bounded, each with an answer of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from jupyter_mig.wire.messages import MOST_REQUESTS, LeaseRequest
from tests.broker.asking import say
from tests.broker.brokers import Post


@pytest.fixture
def open_post(post: Post) -> Iterator[Post]:
    """A place where a broker listens, for a node of one A100."""
    asyncio.run(post.starter().start())
    yield post
    post.end()


def asks(*sizes: str) -> dict[str, object]:
    """A batch of these sizes."""
    return {"requests": [{"kernel_id": f"k{n}", "size": size} for n, size in enumerate(sizes)]}


def test_a_batch_is_planned_largest_first(open_post: Post) -> None:
    """In this order one by one the last would find no place; asked together all have one."""
    sizes = ["1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"]
    status, leases = say(open_post.socket, "POST", "/v1/batches", asks(*sizes))
    assert status == 200
    assert [lease["size"] for lease in leases] == sizes
    assert {lease["state"] for lease in leases} <= {"creating", "granted"}


def test_each_refusal_is_in_its_own_view(open_post: Post) -> None:
    """The others have their slices."""
    status, leases = say(open_post.socket, "POST", "/v1/batches", asks("1g.5gb", "9g.99gb"))
    assert status == 200
    assert leases[0]["refusal"] is None
    assert leases[1]["state"] == "released"
    assert leases[1]["refusal"]["kind"] == "unknown-size"


def test_asking_twice_gives_the_same_leases(open_post: Post) -> None:
    """The kernels' ids make a batch safe to repeat."""
    first, again = (
        say(open_post.socket, "POST", "/v1/batches", asks("1g.5gb", "2g.10gb"))[1] for _ in range(2)
    )
    assert [one["lease_id"] for one in first] == [one["lease_id"] for one in again]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"requests": []}, "requests"),
        (asks(*["1g.5gb"] * (MOST_REQUESTS + 1)), "requests"),
        ({"requests": [{"kernel_id": "k"}]}, "requests[0]"),
        ({"requests": [{"kernel_id": "k", "size": "1g.5gb", "colour": 1}]}, "requests[0]"),
        ({}, "requests"),
        ({**asks("1g.5gb"), "colour": "red"}, "colour"),
    ],
)
def test_a_batch_that_is_none_is_refused(open_post: Post, body: object, field: str) -> None:
    """Empty, too long, or not what it should be; nobody is in line then."""
    status, error = say(open_post.socket, "POST", "/v1/batches", body)
    assert (status, error["kind"]) == (400, "bad-request")
    assert field in error["message"]
    assert say(open_post.socket, "GET", "/v1/leases") == (200, [])


async def test_the_client_asks_in_portions(open_post: Post) -> None:
    """As many requests as one likes; the answers are in their order."""
    client = open_post.client()
    wishes = [
        LeaseRequest(f"k{number}", "7g.40gb", patience_seconds=None)
        for number in range(2 * MOST_REQUESTS + 1)
    ]
    leases = await client.request_all(wishes)
    assert [lease.kernel_id for lease in leases] == [wish.kernel_id for wish in wishes]
    assert await client.request_all([]) == []
    client.close()
