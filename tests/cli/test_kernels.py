"""Which kernelspecs ``jupyter mig kernels remove`` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mig.cli.kernels import choose, lines
from jupyter_mig.cli.terminal import Terminal
from jupyter_mig.errors import BadRequest
from jupyter_mig.kernels.installation import Installed

SMALL, LARGE, ELSEWHERE = (
    Installed(name, f"Python 3 ({size})", size, "python3", simulated=False, directory=Path(where))
    for name, size, where in (
        ("python3-mig-1g.5gb", "1g.5gb", "/a/kernels/python3-mig-1g.5gb"),
        ("python3-mig-7g.40gb", "7g.40gb", "/a/kernels/python3-mig-7g.40gb"),
        ("python3-mig-1g.5gb", "1g.5gb", "/b/kernels/python3-mig-1g.5gb"),
    )
)
ALL = [SMALL, LARGE, ELSEWHERE]


def test_a_name_means_every_copy() -> None:
    """A kernelspec may be installed in several directories; half a removal would confuse."""
    assert choose(["python3-mig-1g.5gb"], ALL, everything=False) == [SMALL, ELSEWHERE]


def test_all_means_all() -> None:
    """And nothing installed is no mistake."""
    assert choose([], ALL, everything=True) == ALL
    assert choose([], [], everything=True) == []


@pytest.mark.parametrize(
    ("names", "everything"),
    [([], False), (["python3-mig-1g.5gb"], True), (["python3-mig-1g.5gb", "python3"], False)],
)
def test_what_is_not_clear_removes_nothing(names: list[str], everything: bool) -> None:
    """No names, names beside --all, and a name that is not ours."""
    with pytest.raises(BadRequest) as raised:
        choose(names, ALL, everything=everything)
    assert raised.value.situation == "Installed: python3-mig-1g.5gb, python3-mig-7g.40gb."


def test_the_table_says_where() -> None:
    """The directory is what tells two of the same name apart."""
    assert lines([SMALL, ELSEWHERE], Terminal()) == [
        "KERNELSPEC          SHOWN AS           WHERE",
        "python3-mig-1g.5gb  Python 3 (1g.5gb)  /a/kernels",
        "python3-mig-1g.5gb  Python 3 (1g.5gb)  /b/kernels",
    ]
