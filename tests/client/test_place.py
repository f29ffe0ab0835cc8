from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from jupyter_mig import errors
from jupyter_mig.client import Settings, place

SETTINGS = Settings(driver="simulated:1xA30")


def at(runtime: Path) -> Settings:
    """Settings with that runtime directory."""
    return msgspec.structs.replace(SETTINGS, runtime_directory=runtime)


def test_what_belongs_apart_never_meets(runtime: Path) -> None:
    """Another driver, inventory or other devices is another place; the same settings, the same."""
    here = at(runtime)
    others = [
        msgspec.structs.replace(here, driver="nvml"),
        msgspec.structs.replace(here, driver="simulated:2xA30"),
        msgspec.structs.replace(here, inventory="static"),
        msgspec.structs.replace(here, visible_devices="CUDA_VISIBLE_DEVICES="),
        msgspec.structs.replace(here, visible_devices="CUDA_VISIBLE_DEVICES=0"),
    ]
    places = [place.directory_for(settings) for settings in (here, *others)]
    assert len(set(places)) == 6
    assert place.directory_for(here) == places[0]
    assert {one.parent for one in places} == {runtime / "jupyter-mig"}


def test_without_a_runtime_directory_it_is_below_tmp(runtime: Path) -> None:
    """Also when the variable names a directory that is not there."""
    expected = Path(f"/tmp/jupyter-mig-{os.getuid()}")
    assert place.directory_for(SETTINGS).parent == expected
    assert place.directory_for(at(runtime / "gone")).parent == expected


def test_a_place_is_made_private_and_found_again(runtime: Path) -> None:
    """0700 whatever the umask; preparing twice is harmless."""
    directory = place.directory_for(at(runtime))
    before = os.umask(0)
    try:
        place.prepare(directory)
    finally:
        os.umask(before)
    place.prepare(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_is_not_followed(runtime: Path) -> None:
    """Somebody may have put it there to lead us elsewhere."""
    (runtime / "elsewhere").mkdir(mode=0o700)
    (runtime / "jupyter-mig").symlink_to(runtime / "elsewhere")
    with pytest.raises(errors.BadPlace, match="is a link"):
        place.prepare(place.directory_for(at(runtime)))


def test_an_open_door_is_refused(runtime: Path) -> None:
    """A directory that others may enter, or write in, is not private."""
    (runtime / "jupyter-mig").mkdir()
    (runtime / "jupyter-mig").chmod(0o750)
    with pytest.raises(errors.BadPlace, match="open to others"):
        place.prepare(place.directory_for(at(runtime)))


def test_another_users_directory_is_refused(runtime: Path) -> None:
    """Whoever was faster below /tmp does not get our kernels."""
    if os.getuid() != 0:
        pytest.skip("only root can make directories for another user")
    directory = runtime / "jupyter-mig"
    runtime.chmod(0o777)
    script = f"import os; os.setuid(65534); os.mkdir({str(directory)!r}, 0o700)"
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(errors.BadPlace, match="belongs to user 65534") as caught:
        place.prepare(place.directory_for(at(runtime)))
    assert "XDG_RUNTIME_DIR" in caught.value.next_step


def test_a_path_too_long_for_a_socket_is_refused(runtime: Path) -> None:
    """The limit is the kernel's; the error says how long, how long it may be, and what to set."""
    deep = runtime / ("d" * 80)
    deep.mkdir()
    with pytest.raises(errors.BadPlace, match="too long") as caught:
        place.prepare(place.directory_for(at(deep)))
    assert "107 are allowed" in caught.value.situation
    assert not (deep / "jupyter-mig").exists()


def test_a_place_that_cannot_be_made_says_why(runtime: Path) -> None:
    """Here: a file where the directory should be."""
    (runtime / "jupyter-mig").touch()
    with pytest.raises(errors.BadPlace):
        place.prepare(place.directory_for(at(runtime)))


def test_a_home_that_hosts_share_is_never_the_place(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks and sockets on NFS would join brokers of different hosts: nothing is put there."""
    home = runtime / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    for settings in (SETTINGS, at(runtime / "xdg"), Settings.from_environment(dict(os.environ))):
        assert home not in place.directory_for(settings).parents
    place.prepare(place.directory_for(at(runtime)))
    assert list(home.iterdir()) == []
