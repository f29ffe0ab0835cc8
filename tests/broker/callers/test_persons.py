"""Who is behind a number."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.callers.accounts import Account, Accounts
from jupyter_mig.broker.callers.crowd import Crowd
from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.callers.owners import LEAST
from jupyter_mig.broker.callers.persons import NOBODY, REMEMBER_SECONDS, Persons
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import Everybody
from tests.broker.clocks import Clock
from tests.broker.households import household

ME = os.getuid()
FIRST = 2**30
"""A number without an account, as those after it."""


@pytest.fixture
def subuid(tmp_path: Path) -> Path:
    """Alice's are six numbers, Bob's are those of everybody."""
    file = tmp_path / "subuid"
    file.write_text(f"# ours\nalice:{FIRST}:6\n1002:0:{FIRST - 1}\nx:y:z\n\n")
    return file


@pytest.fixture
def switch(tmp_path: Path) -> Path:
    """nsswitch.conf, in which nothing is said of subordinates."""
    file = tmp_path / "nsswitch.conf"
    file.write_text("passwd: files sss\n# subid: sss\n")
    return file


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """nsswitch.conf of a node that is one of FreeIPA's."""
    file = tmp_path / "nsswitch.conf"
    file.write_text("passwd: files sss\nsubid:   sss  # FreeIPA\n")
    return file


async def _refusal(persons: Persons, uid: int) -> str:
    """What that user is told; nothing if he is himself."""
    try:
        await persons.require_own(uid)
    except errors.NotAllowed as refusal:
        return str(refusal)
    return ""


async def test_all_subordinates_of_a_user_count_as_one_and_get_nothing(
    subuid: Path, switch: Path
) -> None:
    """They are told whose they are. A number in nobody's range is a person."""
    persons = Persons(subuid, switch)
    assert {persons.behind(uid) for uid in range(FIRST, FIRST + 6)} == {"alice"}
    refusal = await _refusal(persons, FIRST + 5)
    assert refusal.startswith(f"User {FIRST + 5} is a subordinate of user alice")
    for uid in (FIRST - 1, FIRST + 6):
        assert persons.behind(uid) == uid
        assert await _refusal(persons, uid) == ""


async def test_an_account_is_its_own_also_in_somebodys_range(subuid: Path, switch: Path) -> None:
    """Ranges of a node's own and accounts of a directory may overlap."""
    persons = Persons(subuid, switch)
    assert persons.behind(ME) == "1002"  # until it has been looked up
    assert await _refusal(persons, ME) == ""
    assert persons.behind(ME) == ME


async def test_where_ranges_come_from_elsewhere_numbers_without_an_account_are_nobodys(
    subuid: Path, elsewhere: Path
) -> None:
    """Any user may be they: FreeIPA's ranges are not in the file."""
    persons = Persons(subuid, elsewhere)
    for uid in (FIRST + 6, FIRST + 7):
        assert str(elsewhere) in await _refusal(persons, uid)
        assert persons.behind(uid) == NOBODY
    assert await _refusal(persons, ME) == ""


async def test_nobody_on_the_node_is_a_user_of_the_hub_by_its_number(
    subuid: Path, switch: Path
) -> None:
    """They are from 2**31 on, where FreeIPA gives ranges to users."""
    persons = Persons(subuid, switch)
    assert persons.behind(LEAST) == persons.behind(LEAST + 7) == NOBODY
    assert f"from {LEAST} on" in await _refusal(persons, LEAST)


def test_what_is_said_of_ranges_is_read_again_after_a_minute(subuid: Path, switch: Path) -> None:
    """A new user's is known then; a file that is not there says nothing."""
    clock = Clock()
    persons = Persons(subuid, switch, clock=clock)
    subuid.write_text(f"carol:{FIRST}:6\n")
    clock.now += REMEMBER_SECONDS - 1
    assert persons.behind(FIRST) == "alice"
    clock.now += 1
    assert persons.behind(FIRST) == "carol"
    subuid.unlink()
    clock.now += REMEMBER_SECONDS
    assert persons.behind(FIRST) == FIRST


class _NobodyIsKnown(Accounts):
    async def of(self, uid: int) -> Account:
        raise AssertionError(f"{uid} was looked up")


async def test_accounts_are_looked_up_only_for_numbers_in_doubt(subuid: Path, switch: Path) -> None:
    """Who has a number of his own waits for no directory."""
    await Persons(subuid, switch, _NobodyIsKnown()).require_own(FIRST - 1)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may enter, with a short name."""
    with tempfile.TemporaryDirectory(prefix="mig-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def _door(place: Path, everybody: Everybody) -> AsyncIterator[Path]:
    """A node's door; where it is."""
    with household(place) as home:
        async with home.started() as service:
            door = Door(service, home.driver, Keys(b"secret"), everybody)
            door.open(place / "s")
            try:
                yield place / "s"
            finally:
                await door.close()


_ASK = """
import json, os, socket, sys
path, *uids = sys.argv[1:]
said, kept = [], []
for uid in map(int, uids):
    os.setresuid(uid, uid, 0)
    connection = socket.socket(socket.AF_UNIX)
    kept.append(connection)
    connection.connect(path)
    os.setresuid(0, 0, 0)
    answer = b""
    try:
        connection.sendall(b"GET /v1/node HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        while b"}" not in answer and (more := connection.recv(65536)):
            answer += more
    except ConnectionError:
        pass
    said.append(answer.decode())
print(json.dumps(said))
"""


async def _ask_as(path: Path, *uids: int) -> list[str]:
    """What is answered to each of these users, on connections that all stay open."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ASK, str(path), *map(str, uids), stdout=subprocess.PIPE
    )
    written, _ = await process.communicate()
    answers: list[str] = json.loads(written)
    return answers


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be other users")
async def test_at_the_door_a_user_is_not_many(subuid: Path, switch: Path, place: Path) -> None:
    """Real connections of other uids: all of Alice's subordinates together have the connections of
    one, and twice as many are told; whoever has a number of his own is let in.
    """
    alices = range(FIRST, FIRST + 5)
    everybody = Everybody(Crowd(connections=2), Persons(subuid, switch))
    async with _door(place, everybody) as path:
        answers = await _ask_as(path, *alices, FIRST + 6)
    assert [answer[9:12] for answer in answers] == ["403", "403", "429", "429", "", "200"]
    assert "subordinate of user alice" in answers[0]
