"""Plans through the door: the answer comes true, nothing is changed by it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_mig.wire.messages import MOST_REQUESTS
from tests.broker.asking import say
from tests.broker.brokers import Post


@pytest.fixture
def open_post(post: Post) -> Iterator[Post]:
    """A place where a broker listens, for a node of one A100."""
    asyncio.run(post.starter().start())
    yield post
    post.end()


def plan(post: Post, *sizes: str, **more: str) -> Any:
    """The answer to a plan."""
    status, answer = say(post.socket, "POST", "/v1/plan", {"sizes": sizes, **more})
    assert status == 200, answer
    return answer


def places(slices: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Profile and start of each."""
    return [(one["profile"], one["start"]) for one in slices]


def test_a_plan_comes_true(open_post: Post) -> None:
    """Asked for as a batch the same sizes go where the plan said; it made nothing itself."""
    sizes = ["1g.5gb", "20gb+", "2g.10gb"]
    planned = plan(open_post, *sizes)
    assert planned["now"]["fits"]
    assert planned["empty"]["fits"]
    assert open_post.instances() == []
    assert say(open_post.socket, "GET", "/v1/leases") == (200, [])
    requests = [{"kernel_id": size, "size": size} for size in sizes]
    leases = say(open_post.socket, "POST", "/v1/batches", {"requests": requests})[1]
    granted = [
        say(open_post.socket, "POST", "/v1/leases", {**request, "wait_seconds": 20})[1]
        for request in requests
    ]
    assert [one["lease_id"] for one in granted] == [one["lease_id"] for one in leases]
    assert places([one["slice"] for one in granted]) == places(planned["now"]["slices"])


def test_what_does_not_fit_now_is_told_apart_from_what_never_fits(open_post: Post) -> None:
    """With what fits of it, and why the rest does not; planned instances are marked."""
    body = {"kernel_id": "k", "size": "4g.20gb", "wait_seconds": 20}
    say(open_post.socket, "POST", "/v1/leases", body)
    answer = plan(open_post, "3g.20gb", "3g.20gb")
    assert (answer["now"]["fits"], answer["empty"]["fits"]) == (False, True)
    assert places(answer["now"]["slices"]) == [("3g.20gb", 4)]
    (left_over,) = answer["now"]["left_over"]
    assert left_over == {"size": "3g.20gb", "why": "no GPU has enough free memory slices"}
    (gpu,) = answer["now"]["gpus"]
    assert [(one["state"], one["start"]) for one in gpu["instances"]] == [
        ("held", 0),
        ("planned", 4),
    ]
    assert not plan(open_post, *["3g.20gb"] * 3)["empty"]["fits"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"sizes": ["9g.99gb"]}, 404, "This node has no size 9g.99gb."),
        ({"sizes": ["1g.5gb"], "gpu": "H100"}, 400, "No GPU here is called H100."),
        ({"sizes": []}, 400, "sizes"),
        ({"sizes": ["1g.5gb"] * (MOST_REQUESTS + 1)}, 400, "sizes"),
        ({"sizes": [7]}, 400, "sizes[0]"),
        ({"sizes": ["1g.5gb"], "colour": "red"}, 400, "colour"),
        ({}, 400, "sizes"),
    ],
)
def test_a_plan_that_is_none_is_refused(
    open_post: Post, body: object, status: int, words: str
) -> None:
    """Unknown sizes and models, and what is not as it should be."""
    answer = say(open_post.socket, "POST", "/v1/plan", body)
    assert answer[0] == status
    assert words in answer[1]["message"]
