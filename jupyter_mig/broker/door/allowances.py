"""An administrator's limits in words, and what a user has of them."""

from __future__ import annotations

from jupyter_mig.broker.words import duration, listed, plain
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.quotas import Held

WHO_CHANGES_IT = "The administrator (root) can change the rule."


def rule(limits: Limits) -> str:
    """The rule by its name, as a sentence begins."""
    return plain(limits.rule, 60).capitalize()


def allowance(limits: Limits) -> str:
    """What limits allow."""
    words = [
        f"sizes {listed(list(limits.sizes))}" if limits.sizes else "",
        f"at most {counted(limits.slices)}" if limits.slices is not None else "",
        f"at most {limits.share:g} of a GPU in all" if limits.share is not None else "",
        f"each for {duration(limits.lifetime_seconds)}" if limits.lifetime_seconds else "",
        f"no wait longer than {duration(limits.wait_seconds)}" if limits.wait_seconds else "",
    ]
    return "; ".join(word for word in words if word) or "no limits"


def amount(has: Held) -> str:
    """What somebody holds."""
    return f"{counted(has.slices)}, {has.share:.3g} of a GPU"


def counted(slices: int) -> str:
    """So many slices."""
    return "1 slice" if slices == 1 else f"{slices} slices"


def used(limits: Limits, has: Held) -> str:
    """How much of what limits allow somebody holds, in few words."""
    words = [
        f"{has.slices} of {limits.slices} slices" if limits.slices is not None else "",
        f"{has.share:.3g} of {limits.share:g} GPU" if limits.share is not None else "",
    ]
    return f"you hold {listed([word for word in words if word])} allowed"
