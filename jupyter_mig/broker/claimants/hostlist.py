"""Slurm's lists of hosts and of files: ``node[1-4,07],other``, ``/dev/nvidia[0-3]``."""

from __future__ import annotations

import re
from itertools import product

MOST = 64 * 1024
"""What Slurm itself allows in one expression."""

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


def expand(expression: str) -> list[str]:
    """The names it stands for, in order. Raises ValueError if it stands for none or too many."""
    found: list[str] = []
    for word in _words(expression):
        found += _names(word, MOST - len(found))
    return found


def _words(expression: str) -> list[str]:
    """The parts between commas, but for those in brackets."""
    words, depth = [""], 0
    for letter in expression:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if not 0 <= depth <= 1:
            break
        if letter == "," and not depth:
            words.append("")
        else:
            words[-1] += letter
    if depth:
        raise ValueError(f"{expression:.80} has brackets that do not match")
    return [word for word in words if word]


def _names(word: str, most: int) -> list[str]:
    """Names in brackets are counted before they are made: there could be too many to make."""
    pieces = re.split(r"\[([^\]]*)\]", word)
    choices = [[piece] if place % 2 == 0 else _numbers(piece) for place, piece in enumerate(pieces)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > most:
        raise ValueError(f"{word:.80} stands for too many names")
    return ["".join(name) for name in product(*choices)]


def _numbers(ranges: str) -> list[str]:
    found: list[str] = []
    for each in ranges.split(","):
        match = _RANGE.fullmatch(each)
        if match is None:
            raise ValueError(f"{each:.80} is no range of numbers")
        first, last = match[1], match[2] or match[1]
        if not 0 <= int(last) - int(first) < MOST:
            raise ValueError(f"{each:.80} is no range of numbers")
        found += [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        if len(found) > MOST:
            raise ValueError(f"{ranges:.80} stands for too many numbers")
    return found
