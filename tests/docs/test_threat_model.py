"""The threat model claims nothing that no test shows: each test that it names is there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
PAGE = TESTS.parent / "docs" / "explanation" / "threat-model.md"


def named() -> list[tuple[Path, str]]:
    """Collect the files that the page names, each with a function in it, or none. An ellipsis
    stands for the file before.
    """
    found: list[tuple[Path, str]] = []
    for file, function in re.findall(
        r"`(…|[a-z_/]+\.py)(?:::(\w+))?`", PAGE.read_text(encoding="utf-8")
    ):
        path = found[-1][0] if file == "…" else TESTS / file
        found.append((path, function))
    return found


def functions(path: Path) -> set[str]:
    """List the functions that a file defines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_each_test_that_it_names_is_there() -> None:
    """Whoever renames or removes one hears of it."""
    tests = named()
    assert len(tests) > 40
    assert [path for path, _ in tests if not path.exists()] == []
    assert [name for path, name in tests if name and name not in functions(path)] == []
