"""What to give a kernel whose size this node lacks, as when a notebook comes from other GPUs."""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_mig.core.sizes import order
from jupyter_mig.wire.messages import SizeCount


def smallest_covering(size: str, offered: Iterable[SizeCount]) -> str | None:
    """The smallest size with at least the compute slices and gigabytes in the name ``size``, and
    the same variant (``+me``…). None: there is none, or ``size`` is not the name of a profile.

    The names' figures are compared, not bytes: a 1g.10gb has 9.5 GiB on one model, 9.8 on another.
    """
    covering = [offer for offer in offered if _covers(offer.size, size)]
    covering.sort(key=lambda offer: (offer.memory_bytes, offer.multiprocessors, offer.size))
    return covering[0].size if covering else None


def _covers(offer: str, size: str) -> bool:
    compute, gigabytes, variant, _ = order(offer)
    wanted_compute, wanted_gigabytes, wanted_variant, _ = order(size.strip().lower())
    enough = compute >= wanted_compute and gigabytes >= wanted_gigabytes
    return enough and variant == wanted_variant
