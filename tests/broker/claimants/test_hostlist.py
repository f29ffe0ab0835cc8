from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.broker.claimants import hostlist

LISTS = {
    "node[1-4,07]": ["node1", "node2", "node3", "node4", "node07"],
    "n[08-11]": ["n08", "n09", "n10", "n11"],
    "a[1-2]b[3-4],c": ["a1b3", "a1b4", "a2b3", "a2b4", "c"],
    "one": ["one"],
}


@pytest.mark.parametrize("expression", LISTS)
def test_lists_stand_for_names(expression: str) -> None:
    """Zeros in front are kept, brackets multiply."""
    assert hostlist.expand(expression) == LISTS[expression]


def test_files_may_go_on_behind_brackets() -> None:
    """Slurm's own tools refuse hosts like that."""
    assert hostlist.expand("/dev/g[0-1]/n,z") == ["/dev/g0/n", "/dev/g1/n", "z"]


def test_nothing_stands_for_nothing() -> None:
    """A value that is not set."""
    assert hostlist.expand("") == []


@pytest.mark.skipif(shutil.which("scontrol") is None, reason="needs Slurm's scontrol")
@pytest.mark.parametrize("expression", LISTS)
def test_slurm_reads_them_so(expression: str, tmp_path: Path) -> None:
    """Its own program says the same."""
    conf = tmp_path / "slurm.conf"
    conf.write_text("ClusterName=x\nSlurmctldHost=localhost\n")
    done = subprocess.run(
        ["scontrol", "show", "hostnames", expression],
        env={"PATH": "/usr/bin:/bin", "SLURM_CONF": str(conf)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == LISTS[expression]


@pytest.mark.parametrize(
    "expression",
    [
        *("n[1-4", "n]1[", "n[[1]]", "n[]", "n[a-b]", "n[4-1]", "n[-1]", "n[1-99999999]"),
        "n[0-65535]x[0-65535]x[0-65535]",
        ",".join(["n[0-65535]"] * 9),
        f"n[{'0-65535,' * 9}1]",
    ],
)
def test_what_stands_for_no_names(expression: str) -> None:
    """Or for more than Slurm takes: none is made before they are counted."""
    with pytest.raises(ValueError, match=r".+"):
        hostlist.expand(expression)


@given(st.text(alphabet="n0123456789[],-", max_size=40))
def test_any_text_is_names_or_an_error(text: str) -> None:
    """Never too many, nor anything else than ValueError."""
    try:
        assert len(hostlist.expand(text)) <= hostlist.MOST
    except ValueError:
        return
