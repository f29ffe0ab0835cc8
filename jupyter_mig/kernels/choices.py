"""The sizes that people are offered: by default the node's plain ones, or as configured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from jupyter_mig.core.sizes import Offer, order, parse, preferences
from jupyter_mig.wire.messages import NodeView, SizeCount


class Choice(msgspec.Struct, frozen=True):
    """One entry. ``request`` is what its kernel asks the broker for, ``memory_bytes`` what it gets
    at least.
    """

    name: str
    request: str
    memory_bytes: int


def allowed(node: NodeView) -> list[SizeCount]:
    """The node's sizes but those that an administrator's rule never allows its user."""
    return [size for size in node.sizes if not size.not_allowed]


def usual(node: NodeView) -> list[Choice]:
    """The node's sizes in reading order, without media-engine and graphics variants: few know what
    these are. Only a node with nothing else shows them.
    """
    sizes = allowed(node)
    plain = [size for size in sizes if not _is_variant(size.size)]
    return in_reading_order(plain or sizes)


def in_reading_order(sizes: Iterable[SizeCount]) -> list[Choice]:
    """Profiles as choices, each by its own name."""
    ordered = sorted(sizes, key=lambda size: order(size.size))
    return [Choice(size.size, size.size, size.memory_bytes) for size in ordered]


def named(names: Mapping[str, str], node: NodeView) -> list[Choice]:
    """An administrator's names (``small``) for what this node has of what they mean (``10gb+``)."""
    memory = {size.size: size.memory_bytes for size in node.sizes}
    offers = [Offer(size.size, size.memory_bytes, size.width) for size in allowed(node)]
    found = {name: preferences(parse(request), offers) for name, request in names.items()}
    return [Choice(name, names[name], memory[sizes[0]]) for name, sizes in found.items() if sizes]


def _is_variant(size: str) -> bool:
    _, _, variant, _ = order(size)
    return bool(variant)
