"""Where a command is looked for."""

from __future__ import annotations

from pathlib import Path

from jupyter_mig.cli import program


def test_folders_that_cannot_be_looked_into_are_passed_over(tmp_path: Path) -> None:
    """Shells do so, too: PATH may name another user's folder, or nonsense."""
    command = tmp_path / "command"
    command.touch(mode=0o755)
    path = f"/{'x' * 300}:/proc/1/root:{tmp_path}"
    assert program.find("command", {"PATH": path}) == command
