"""The page of ``jupyter mig leases``, and the sizes beside it."""

from __future__ import annotations

import pytest

from jupyter_mig.cli import leases, sizes
from jupyter_mig.cli.cells import width
from jupyter_mig.cli.terminal import Terminal
from jupyter_mig.wire.messages import ErrorBody
from tests.cli.views import GIB, gpu, lease, node, size

UUID = "MIG-3f2a91c0-58d2-5b1a-9a63-5a40f2b1e2c1"


def test_the_page() -> None:
    """What is held as a table, what waits as a sentence."""
    held = lease("5e2c91a0", "train.ipynb", uuid="MIG-3f2a91c0-1", kernel_pid=4711)
    waits = lease(
        "77aa", "", "waiting", size="7g.40gb", place=2, estimate_seconds=3, gives_up_in_seconds=280
    )
    assert list(leases.lines([held, waits], Terminal())) == [
        "NOTEBOOK         SIZE     STATE    GPU    HELD  KERNEL  MIG UUID        LEASE",
        "train.ipynb      1g.5gb   bound      0  41 min    4711  MIG-3f2a91c0-1  5e2c91a0",
        "kernel 0bd3c9aa  7g.40gb  waiting    -       -       -  -               77aa",
        "kernel 0bd3c9aa waits for 7g.40gb: 2nd in line, about 3 s, gives up in 4 min",
    ]


def test_a_slice_that_is_being_taken_away_says_why() -> None:
    """Below the table, in the words of whoever did it."""
    refusal = ErrorBody("lease-ended", "The administrator revoked it: exam at noon")
    ending = lease("5e2c", "train.ipynb", "draining", uuid=UUID, refusal=refusal)
    *_, last = leases.lines([ending], Terminal())
    assert last == "train.ipynb: The administrator revoked it: exam at noon"


def test_nothing_is_said_as_such() -> None:
    """An empty table would leave the question open."""
    assert list(leases.lines([], Terminal())) == ["You hold no slice and wait for none."]


def test_who_has_a_slice_for_a_time_sees_how_long_still() -> None:
    """In its largest unit, rounded down; also while one waits whose end is not near yet."""
    day = lease("5e2c", "a.ipynb", uuid="MIG-1", ends_in_seconds=7 * 3600 + 59 * 60)
    soon = lease("5e2d", "b.ipynb", uuid="MIG-2", ends_in_seconds=119.0)
    waits = lease("77aa", "c.ipynb", "waiting")
    assert list(leases.lines([day, soon, waits], Terminal()))[:4] == [
        "NOTEBOOK  SIZE    STATE    GPU    HELD  ENDS IN  KERNEL  MIG UUID  LEASE",
        "a.ipynb   1g.5gb  bound      0  41 min      7 h       -  MIG-1     5e2c",
        "b.ipynb   1g.5gb  bound      0  41 min    1 min       -  MIG-2     5e2d",
        "c.ipynb   1g.5gb  waiting    -       -        -       -  -         77aa",
    ]


@pytest.mark.parametrize("ends_in_seconds", [None, 8 * 3600 - 1])
def test_eighty_columns_are_enough(ends_in_seconds: float | None) -> None:
    """Notebook and ids shrink; what a person reads does not."""
    held = lease(
        "5e2c91a0d3f84b71",
        "a/long/way/to/train.ipynb",
        uuid=UUID,
        kernel_pid=4194303,
        ends_in_seconds=ends_in_seconds,
    )
    titles, row = leases.lines([held], Terminal(80, utf8=True))
    assert width(row) <= 80
    assert "train.ipynb" in row
    assert "41 min" in row
    assert "4194303" in row
    assert titles.endswith("LEASE")
    assert ("7 h" in row) is (ends_in_seconds is not None)


def test_sizes_say_on_which_gpus() -> None:
    """By what the broker says; a broker that does not say it means every model of the node."""
    view = node(
        gpu(),
        gpu(name="A30"),
        sizes=(size("1g.5gb", 3, 7, models=("A100-SXM4-40GB",)), size("1g.6gb", 0, 4)),
        simulated=False,
    )
    assert sizes.lines(view, Terminal()) == [
        "SIZE     MEMORY  SMS  FREE  TOTAL  GPUS",
        "1g.5gb  5.0 GiB   14     3      7  A100-SXM4-40GB",
        "1g.6gb  5.0 GiB   14     0      4  A100-SXM4-40GB, A30",
    ]


def test_multiprocessors_that_are_not_known_are_not_zero() -> None:
    """An unprivileged reader may not learn them."""
    view = node(gpu(), sizes=(size("1g.5gb", 1, 1, multiprocessors=0, memory_bytes=GIB),))
    assert sizes.lines(view, Terminal())[-1] == "1g.5gb  1.0 GiB    ?     1      1  A100-SXM4-40GB"
