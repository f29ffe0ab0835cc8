"""The broker that ``JUPYTER_MIG_URL`` names, and whether it takes our token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec

from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.client import remote
from jupyter_mig.client.connection import Gone, Question
from jupyter_mig.client.remote import Remote
from jupyter_mig.errors import BrokerUnreachable, JupyterMigError
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import PROTOCOL, BrokerView, ErrorBody, understands

_ABOUT = "remote broker"
_PAGE = "JupyterHub"
_PATIENCE_SECONDS = 5.0


class RemoteFacts(msgspec.Struct, frozen=True):
    """``view`` is what it says of itself, or ``error`` why it does not."""

    url: str
    view: BrokerView | None = None
    error: JupyterMigError | None = None


def look(named: Remote) -> RemoteFacts:
    """Ask it who it is, with our token."""
    try:
        return RemoteFacts(named.url, view=asyncio.run(_asked(named)))
    except JupyterMigError as error:
        return RemoteFacts(named.url, error=error)


def check(facts: RemoteFacts) -> Iterator[Finding]:
    """Reached, understood, and let in?"""
    view = facts.view
    if view is None:
        error = facts.error or BrokerUnreachable("It does not answer.")
        advice = error.next_step or "Is it there, and is this address the one that it listens at?"
        seen = f"{error.message} {error.situation}".strip()
        yield problem(_ABOUT, seen, advice, _PAGE)
    elif not understands(view.protocol):
        seen = f"{facts.url} speaks protocol {view.protocol}, this package {PROTOCOL}"
        yield problem(_ABOUT, seen, "Install the same version on both sides.", _PAGE)
    else:
        yield ok(_ABOUT, f"{facts.url} takes the token, version {view.version}, {view.driver}")
        if not view.boundary:
            yield note(
                _ABOUT,
                "it does not isolate slices: containers are kept apart by what they are given",
                page="A convention, or a boundary",
            )


async def _asked(named: Remote) -> BrokerView:
    try:
        found = await remote.ask(named, Question("GET", "/v1", None, _PATIENCE_SECONDS))
    except Gone as error:
        raise BrokerUnreachable("Nobody answers.", situation=f"{named.url}: {error}") from error
    if found.status >= 400:
        raise codec.error_in(codec.decode(found.body, ErrorBody))
    return codec.decode(found.body, BrokerView)
