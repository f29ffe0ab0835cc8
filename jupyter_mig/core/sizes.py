"""How people name a size, and which profiles satisfy it.

``1g.10gb``   exactly that profile.
``full.24gb`` a whole GPU of 24 GB, where MIG is off or missing.
``20gb+``     the smallest profile with at least 20 GB, by the gigabytes in NVIDIA's own names.
``small``     whatever the administrator's table says it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

_PROFILE = re.compile(
    r"(?:(?P<compute>\d+)g|full)\.(?P<gigabytes>\d+)gb(?P<variant>(?:[+-][a-z]+(?:\.[a-z]+)*)?)"
)
_WHOLE = 999
"""More compute slices than any profile has: where whole GPUs are sorted."""
_AT_LEAST = re.compile(r"(?P<gigabytes>\d+)gb\+")


class Offer(msgspec.Struct, frozen=True):
    """A profile somewhere on the node: all that choosing a size needs to know of it."""

    name: str
    memory_bytes: int
    width: int = 0


class Exactly(msgspec.Struct, frozen=True):
    """One profile by its name."""

    name: str

    def accepts(self, offer: Offer) -> bool:
        """Whether the offer is that profile."""
        return offer.name == self.name


class AtLeast(msgspec.Struct, frozen=True):
    """Any plain profile with that much memory."""

    gigabytes: int

    def accepts(self, offer: Offer) -> bool:
        """Whether the offer is plain (no media-engine variant) and large enough."""
        match = _PROFILE.fullmatch(offer.name)
        return (
            match is not None and not match["variant"] and int(match["gigabytes"]) >= self.gigabytes
        )


def parse(text: str, names: Mapping[str, str] | None = None) -> Exactly | AtLeast:
    """What ``text`` asks for. Every text means something: an unknown word is an unknown profile,
    which no offer satisfies.
    """
    plain = text.strip().lower()
    plain = (names or {}).get(plain, plain)
    match = _AT_LEAST.fullmatch(plain)
    return AtLeast(int(match["gigabytes"])) if match else Exactly(plain)


def is_meant(text: str, names: Mapping[str, str]) -> bool:
    """Whether ``text`` looks like a profile or a requirement, or is a name for one."""
    request = parse(text, names)
    return isinstance(request, AtLeast) or _PROFILE.fullmatch(request.name) is not None


def preferences(request: Exactly | AtLeast, offers: Iterable[Offer]) -> list[str]:
    """Names of the satisfying profiles, the smallest first, each once."""
    accepted = [offer for offer in offers if request.accepts(offer)]
    accepted.sort(key=lambda offer: (offer.memory_bytes, offer.width, offer.name))
    return list(dict.fromkeys(offer.name for offer in accepted))


def order(name: str) -> tuple[int, int, str, str]:
    """Sort key that puts 1g.5gb before 1g.10gb before 2g.10gb, plain before variants, and whole
    GPUs last.
    """
    match = _PROFILE.fullmatch(name)
    if match is None:
        return (1_000, 0, "", name)
    compute = int(match["compute"] or _WHOLE)
    return (compute, int(match["gigabytes"]), match["variant"], name)


def is_plain(name: str) -> bool:
    """Whether the profile is no media-engine or graphics variant."""
    match = _PROFILE.fullmatch(name)
    return match is not None and not match["variant"]


def whole_gpu(memory_bytes: int) -> str:
    """The size of a whole GPU, named like NVIDIA's largest profiles by its memory in whole GiB,
    rounded up; plain ``full`` where that is not known.
    """
    gibibytes = -(-memory_bytes // 2**30)
    return f"full.{gibibytes}gb" if gibibytes else "full"


def slug(name: str) -> str:
    """The size as part of a kernelspec name, which allows no ``+``: 1g.10gb+me is 1g.10gb.me."""
    return name.replace("+", ".")
