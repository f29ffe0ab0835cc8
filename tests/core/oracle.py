"""What would fit if everything could be moved: the yardstick for placement."""

from __future__ import annotations

from collections.abc import Sequence


def fits_after_repacking(counts: Sequence[int], gpus: int) -> bool:
    """Whether so many 7g, 4g, 3g, 2g, 1g of double memory and 1g fit on that many GPUs of the A100
    family, freely arranged. Exact and in constant time.
    """
    n7, n4, n3, n2, n1_double, n1 = counts
    halves = gpus - n7
    left, right = halves - n4, halves
    in_right = min(n3, max(right, 0))
    right -= in_right
    left -= n3 - in_right
    if halves < 0 or left < 0:
        return False
    special = right
    pairs = 2 * left + right - n2
    in_special = min(n1_double, special)
    special -= in_special
    pairs -= n1_double - in_special
    return pairs >= 0 and n1 <= 2 * pairs + special
