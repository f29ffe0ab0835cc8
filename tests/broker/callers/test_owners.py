from __future__ import annotations

import pwd
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mig import errors
from jupyter_mig.broker.callers import owners
from jupyter_mig.broker.callers.owners import LEAST, NumberedUsers, UnixUsers


def test_a_user_of_the_node_is_the_same_in_the_hub() -> None:
    """So that what he holds through both doors counts together."""
    assert UnixUsers().owner("nobody") == pwd.getpwnam("nobody").pw_uid


def test_a_prefix_stands_before_names_on_the_node() -> None:
    """There and back; an account without it belongs to nobody of the Hub."""
    users = UnixUsers("no")
    assert users.owner("body") == pwd.getpwnam("nobody").pw_uid
    assert users.hub_name(1, "nobody") == "body"
    assert users.hub_name(1, "daemon") == ""
    with pytest.raises(errors.Unauthenticated):
        UnixUsers("ro").owner("ot")


@pytest.mark.parametrize("name", ["root", "no-such-user-here", "", "a\0b"])
def test_nobody_is_root_from_afar(name: str) -> None:
    """Nor anybody whom the node does not know."""
    with pytest.raises(errors.Unauthenticated):
        UnixUsers().owner(name)


def test_a_number_is_for_good(tmp_path: Path) -> None:
    """Also after the broker has started again: else quotas could be doubled."""
    file = tmp_path / "numbers.json"
    first = NumberedUsers(file)
    numbers = {name: first.owner(name) for name in ("alice", "bob", "ålice", "root")}
    assert all(number >= LEAST for number in numbers.values())
    again = NumberedUsers(file)
    assert {name: again.owner(name) for name in reversed(numbers)} == numbers
    assert not file.with_suffix(".new").exists()
    assert stat.S_ISREG(file.stat().st_mode)


def test_names_never_share_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the derived numbers collide the next free one is taken, whatever the order."""
    monkeypatch.setattr(owners, "_COUNT", 8)
    users = NumberedUsers(tmp_path / "numbers.json")
    assert len({users.owner(f"user-{number}") for number in range(8)}) == 8


def test_many_new_names_at_once_have_numbers_for_good(tmp_path: Path) -> None:
    """Each connection asks on a thread of its own, and a Hub that starts brings many."""
    users = NumberedUsers(tmp_path / "numbers.json")
    names = [f"user-{number % 12}" for number in range(24)]
    together = Barrier(len(names))

    def number_of(name: str) -> int:
        together.wait()
        return users.owner(name)

    with ThreadPoolExecutor(len(names)) as threads:
        numbers = [*threads.map(number_of, names)]
    again = NumberedUsers(tmp_path / "numbers.json")
    assert [again.hub_name(number, "") for number in numbers] == names


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=30,
    deadline=None,  # each name is synced to disk
)
@given(names=st.lists(st.text(st.characters(), min_size=1), unique=True, max_size=8))
def test_any_name_has_a_number_that_is_a_uid(tmp_path: Path, names: list[str]) -> None:
    """The device nodes of a slice can be given to it: chown(2) takes it, and nobody has it."""
    numbers = [NumberedUsers(tmp_path / "numbers.json").owner(name) for name in names]
    assert len(set(numbers)) == len(names)
    assert all(LEAST <= number < 2**32 - 1 for number in numbers)


def test_a_number_that_cannot_be_kept_is_not_used(tmp_path: Path) -> None:
    """Else the same name might be another owner tomorrow."""
    gone = tmp_path / "gone"
    gone.mkdir()
    users = NumberedUsers(gone / "numbers.json")
    gone.rmdir()
    with pytest.raises(FileNotFoundError):
        users.owner("alice")
    gone.mkdir()
    assert users.owner("alice") == NumberedUsers(gone / "numbers.json").owner("alice")
