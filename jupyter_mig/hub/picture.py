"""The page as HTML: who holds what, who waits, what is free, and what has been. No script, nothing
to click.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from html import escape

import msgspec

from jupyter_mig.wire.administration import AnyLeaseView, IntervalView
from jupyter_mig.wire.messages import NodeView

REFRESH_SECONDS = 10

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; }
"""

_WAITING = "waiting"
_ROOT = 0
_MOST_PAST = 50


class Reader(msgspec.Struct, frozen=True):
    """Who looks: a user of the Hub, who sees his own, or an administrator, who sees all. ``name``
    is what the node calls him.
    """

    name: str
    admin: bool

    def sees(self, lease: AnyLeaseView | IntervalView) -> bool:
        """Whether a lease is his to see. Those of root, and of owners who have no name, are for
        administrators: nobody is root because the Hub calls him so.
        """
        return self.admin or (lease.user == self.name != "" and lease.uid != _ROOT)


class Picture(msgspec.Struct, frozen=True):
    """The node as its reader sees it, everybody's leases, the oldest first, and which slice was
    whose of late.
    """

    node: NodeView
    leases: Sequence[AnyLeaseView]
    intervals: Sequence[IntervalView] = ()


def page(reader: Reader, picture: Picture) -> str:
    """The whole page."""
    node, leases = picture.node, picture.leases
    seen = [lease for lease in leases if reader.sees(lease)]
    held = [lease for lease in seen if lease.state != _WAITING]
    waiting = [lease for lease in seen if lease.state == _WAITING]
    everybodys = sum(lease.state == _WAITING for lease in leases)
    whose = "All" if reader.admin else "Your"
    simulated = " (simulated)" if node.simulated else ""
    return document(
        f"<h1>GPU slices{simulated}</h1>",
        f"<h2>{whose} slices</h2>",
        _held(held),
        f"<h2>{whose} requests in line</h2>",
        _table(("user", "notebook", "size"), map(_waits, waiting)),
        f"<p>{everybodys} in line on this node, of all users.</p>",
        *(_free(node) if reader.admin else _startable(node)),
        "<h2>The last seven days</h2>",
        _table(("user", "slice", "from (UTC)", "for", "ended"), map(_was, _past(reader, picture))),
    )


def _free(node: NodeView) -> Iterator[str]:
    """What is free of each size, whoever may have it."""
    yield "<h2>Free now</h2>"
    counts = (
        (size, size.free if size.unclaimed is None else size.unclaimed) for size in node.sizes
    )
    yield _table(
        ("size", "free", "fit on an empty node"),
        ((size.size, str(free), str(size.total)) for size, free in counts),
    )


def _startable(node: NodeView) -> Iterator[str]:
    """What the reader could start, and by which rule no more."""
    yield "<h2>What you could start now</h2>"
    mine = ((size.size, str(size.free)) for size in node.sizes if not size.not_allowed)
    yield _table(("size", "free for you"), mine)
    if node.allowance is not None:
        rule = node.allowance
        yield f"<p>{escape(f'By {rule.rule}: {rule.allows}. You hold {rule.holds}.')}</p>"
    if node.allowance_not_available:
        yield f"<p>{escape(node.allowance_not_available)}</p>"


def trouble(lines: str) -> str:
    """A page that says what is wrong."""
    return document(
        "<h1>GPU slices</h1>", *(f"<p>{escape(line)}</p>" for line in lines.split("\n"))
    )


def document(*parts: str) -> str:
    """HTML around parts that are HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">'
        f"<title>GPU slices</title><style>{_STYLE}</style></head><body>"
        + "".join(parts)
        + "</body></html>"
    )


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    if not body:
        return "<p>None.</p>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _held(leases: Sequence[AnyLeaseView]) -> str:
    """A table, which says in how long they end if one of them has an end."""
    ends = any(lease.ends_in_seconds is not None for lease in leases)
    rows = (
        (
            _user(lease),
            lease.label,
            lease.profile or lease.size,
            "" if lease.gpu_index is None else str(lease.gpu_index),
            _span(lease.held_seconds),
            *([_span(lease.ends_in_seconds)] if ends else []),
            lease.state,
        )
        for lease in leases
    )
    last = ("ends in", "state") if ends else ("state",)
    return _table(("user", "notebook", "slice", "GPU", "held for", *last), rows)


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _waits(lease: AnyLeaseView) -> tuple[str, ...]:
    return (_user(lease), lease.label, lease.size)


def _past(reader: Reader, picture: Picture) -> list[IntervalView]:
    """Those that are over, the last one first."""
    over = [each for each in picture.intervals if each.until is not None and reader.sees(each)]
    return sorted(over, key=lambda each: -(each.until or 0.0))[:_MOST_PAST]


def _was(interval: IntervalView) -> tuple[str, ...]:
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(interval.since))
    held = _span((interval.until or interval.since) - interval.since)
    return (_user(interval), interval.size, since, held, interval.reason or "")


def _user(lease: AnyLeaseView | IntervalView) -> str:
    return lease.user or f"uid {lease.uid}"
