"""Texts as dialogs can show them: short, plain ASCII, no quotes, no ``%``.

JupyterLab shows them in a dialog, Tornado doubles ``%``, a failed "Change Kernel" shows the repr.
"""

from __future__ import annotations

_UNWANTED = str.maketrans("", "", "`'\"%")


def seen(text: str) -> str:
    """A user's text without what could move a cursor or turn a line around: names of notebooks,
    reasons. They are shown in terminals, pages and logs, of others, too.
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def plain(text: str, longest: int = 60) -> str:
    """A user's text as part of a line."""
    line = " ".join(text.translate(_UNWANTED).split())
    line = line.encode("ascii", "replace").decode("ascii")
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def duration(seconds: float) -> str:
    """A length of time, as coarse as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    return f"{seconds // 86400:.0f} days"


def listed(parts: list[str], last: str = "and") -> str:
    """``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"
