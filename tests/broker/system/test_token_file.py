"""The file with the broker's own token of the Hub, as it is when the configuration is read."""

from __future__ import annotations

import json
import os
import pwd
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.remote.hub import Hub
from jupyter_mig.broker.remote.members import Asking
from jupyter_mig.broker.system import configuration
from tests.broker.remote.hubs import OURS, small_hub
from tests.broker.system.shared_node import ALICE, SERVICE

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")

USER = pwd.getpwnam(SERVICE)


class Given(NamedTuple):
    """A file's content, owner, group and mode."""

    content: str = f"{OURS}\n"
    owner: int = 0
    group: int = USER.pw_gid
    mode: int = 0o640


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that others can reach."""
    with tempfile.TemporaryDirectory(prefix="mig-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def token_file(directory: Path, given: Given) -> Path:
    """The file."""
    file = directory / "token"
    file.write_text(given.content)
    os.chown(file, given.owner, given.group)
    file.chmod(given.mode)
    return file


def written(directory: Path, file: Path) -> Path:
    """A configuration that names it."""
    own = {"gpus": ["GPU-1"], "user": SERVICE, "hub_api_url": "http://127.0.0.1:1/hub/api"}
    found = directory / "broker.json"
    found.write_text(json.dumps({"MIGBroker": {**own, "hub_token_file": str(file)}}))
    found.chmod(0o644)
    return found


def read(directory: Path, file: Path) -> configuration.MIGBroker:
    """That configuration, as it is read."""
    return configuration.read(written(directory, file))


@pytest.mark.parametrize(
    "given", [Given(), Given(owner=USER.pw_uid, mode=0o400), Given(owner=USER.pw_uid, mode=0o600)]
)
def test_a_secret_of_the_brokers_can_be_used(directory: Path, given: Given) -> None:
    """Root's, for the broker's user by group, or that user's own."""
    assert read(directory, token_file(directory, given)).hub_token_file


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Given(content=""), "there is no token in it"),
        (Given(owner=ALICE), "it belongs to somebody else"),
        (Given(mode=0o644), "others can read it: chmod 640 or less"),
        (Given(mode=0o660), "others can read it: chmod 640 or less"),
        (Given(group=ALICE), "others can read it: chmod 640 or less"),
        (Given(owner=0, group=0, mode=0o600), f"{SERVICE} cannot read it: chgrp {SERVICE}"),
        (Given(owner=USER.pw_uid, mode=0o040), f"{SERVICE} cannot read it: chgrp {SERVICE}"),
    ],
)
def test_what_is_no_secret_of_the_brokers_is_refused(
    directory: Path, given: Given, told: str
) -> None:
    """With what is wrong with it."""
    with pytest.raises(errors.MalformedSpec) as refused:
        read(directory, token_file(directory, given))
    assert f"hub_token_file: {told}" in refused.value.situation


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "it is no plain file"),
        (os.mkfifo, "it is no plain file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("/nowhere"), "No such file or directory"),
    ],
)
def test_what_is_no_file_is_refused(
    directory: Path, make: Callable[[Path], object], told: str
) -> None:
    """At once: a pipe would be waited at for ever."""
    make(directory / "token")
    with pytest.raises(errors.MalformedSpec) as refused:
        read(directory, directory / "token")
    assert f"hub_token_file: {told}" in refused.value.situation


def test_a_link_is_what_it_leads_to(directory: Path) -> None:
    """Who may read the link says nothing: everybody may."""
    link = directory / "link"
    link.symlink_to(token_file(directory, Given()))
    assert read(directory, link).hub_token_file == str(link)
    (directory / "token").chmod(0o644)
    with pytest.raises(errors.MalformedSpec, match="cannot be used"):
        read(directory, link)


def test_who_may_not_look_reads_the_rest(directory: Path) -> None:
    """Any user's doctor reads the configuration; a secret that is closed to him is in order."""
    (directory / "closed").mkdir(mode=0o700)
    file = token_file(directory / "closed", Given())
    named = written(directory, file)
    os.seteuid(ALICE)
    try:
        found = configuration.read(named)
    finally:
        os.seteuid(0)
    assert found.hub_token_file == str(file)


async def test_the_token_is_what_is_in_the_line(directory: Path) -> None:
    """An editor ends it with a newline; the Hub is shown what is before that."""
    async with small_hub() as hub:
        hub.users["alice"] = {"groups": ["staff"]}
        asking = Asking(Hub(hub.url, "jupyter-mig"), token_file(directory, Given(f" {OURS}\r\n")))
        assert (await asking.about("alice")).groups == {"staff"}
