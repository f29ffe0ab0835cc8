"""The broker that answers at this user's socket, if one does, and its log."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import msgspec

import jupyter_mig
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.client import Client, Settings, connection
from jupyter_mig.client.client import owners
from jupyter_mig.client.connection import Door, Gone, Question
from jupyter_mig.errors import BrokerUnreachable, JupyterMigError
from jupyter_mig.wire import codec, meeting
from jupyter_mig.wire.messages import PROTOCOL, BrokerView, ErrorBody, NodeView, understands

_HOWTO = "When a kernel does not start"
_ENVIRONMENT = "Environment variables"
_PATIENCE_SECONDS = 3.0
_LONGEST_NOTE_BYTES = 64 * 1024
Kind = TypeVar("Kind")


class BrokerFacts(msgspec.Struct, frozen=True):
    """``view`` and ``node`` are what the broker says; without one, ``error`` says why it does not,
    or ``last_start`` why the last one did not come up. ``named``: by ``JUPYTER_MIG_SOCKET``.
    ``log_error`` is what is wrong with the event log in its directory; ``set_aside`` are logs that
    a broker could not read.
    """

    door: Path
    settings: Settings
    named: bool = False
    view: BrokerView | None = None
    node: NodeView | None = None
    error: JupyterMigError | None = None
    last_start: JupyterMigError | None = None
    log_error: str = ""
    set_aside: tuple[Path, ...] = ()


def look(settings: Settings, door: Path, *, listens: bool) -> BrokerFacts:
    """Ask whoever listens; nobody is started."""
    view, node, error = _asked(Door(door, owners(settings))) if listens else (None, None, None)
    home = door.parent
    return BrokerFacts(
        door,
        settings,
        named=settings.socket is not None,
        view=view,
        node=node,
        error=error,
        last_start=None if listens else _last_start(home / meeting.START_ERROR),
        log_error=_log_error(home / meeting.EVENTS),
        set_aside=tuple(sorted(home.glob(f"{meeting.EVENTS}.corrupt*"))),
    )


def start(environ: Mapping[str, str]) -> None:
    """Have a broker started; whatever prevents it is found by looking afterwards."""
    try:
        hold(Client.broker, environ)
    except JupyterMigError:
        return


def check(facts: BrokerFacts) -> Iterator[Finding]:
    """Whether it answers, is the one meant, and speaks as this package does; and its log."""
    if facts.view is not None:
        yield from _meant(facts.view, facts)
    elif facts.error is not None:
        yield _silent(facts, facts.error)
    elif facts.named:
        yield problem(
            "broker",
            f"JUPYTER_MIG_SOCKET names {facts.door}, where nobody listens",
            "Unset it, and a broker is started when one is needed.",
            _ENVIRONMENT,
        )
    elif facts.last_start is not None:
        seen = f"the last one did not start: {facts.last_start.message}"
        advice = facts.last_start.next_step or f"See {facts.door.parent / meeting.DIARY}."
        yield problem("broker", seen, advice, _HOWTO)
    else:
        yield ok("broker", "none runs; the first client starts one (doctor --start does, too)")
    yield from _log(facts)


def _meant(view: BrokerView, facts: BrokerFacts) -> Iterator[Finding]:
    skew = _skew(view, of_node=facts.settings.system is not None)
    if skew is not None:
        yield skew
    elif view.driver != facts.settings.driver:
        yield problem(
            "broker",
            f"it has the driver {view.driver}, and this environment asks for"
            f" {facts.settings.driver}",
            "Set JUPYTER_MIG_DRIVER alike on both sides, or unset JUPYTER_MIG_SOCKET.",
            _ENVIRONMENT,
        )
    else:
        yield ok("broker", f"pid {view.pid} answers, version {view.version}, {view.driver}")


def _skew(view: BrokerView, *, of_node: bool) -> Finding | None:
    ours = jupyter_mig.__version__
    end = "sudo systemctl restart jupyter-mig" if of_node else f"kill {view.pid}"
    restart = f"{end} ends it; the next one takes its leases over and no kernel loses its slice"
    protocols = f"speaks protocol {view.protocol}, this package {PROTOCOL}"
    if not understands(view.protocol):
        return problem("broker", f"version {view.version} {protocols}", restart, _HOWTO)
    if view.protocol != PROTOCOL:
        seen = f"version {view.version} {protocols}; the two understand each other"
        return note("broker", seen, restart, _HOWTO)
    if view.version != ours:
        seen = f"version {view.version} runs, version {ours} is installed"
        return note("broker", seen, restart, _HOWTO)
    return None


def _silent(facts: BrokerFacts, error: JupyterMigError) -> Finding:
    if isinstance(error, BrokerUnreachable) and facts.settings.system is not None:
        seen = f"listens at {facts.door} and does not answer"
        fix = "sudo systemctl restart jupyter-mig\nKernels and leases are kept."
        return problem("broker", seen, fix, _HOWTO)
    if isinstance(error, BrokerUnreachable):
        fix = (
            f"Its process is in {facts.door.parent / meeting.LOCK}, what it did in"
            f" {meeting.DIARY} there.\nEnd that process; the next broker goes on where it stopped."
        )
        return problem("broker", f"listens at {facts.door} and does not answer", fix, _HOWTO)
    return problem("broker", error.message, error.next_step, _ENVIRONMENT)


def _log(facts: BrokerFacts) -> Iterator[Finding]:
    if facts.log_error:
        yield problem(
            "event log",
            f"{facts.door.parent / meeting.EVENTS} does not read back: {facts.log_error}",
            "The next broker sets it aside and begins a new one. Slices that exist are not"
            " handed out then.\nTo mend it: end the kernels, then remove the file.",
            _HOWTO,
        )
    if facts.set_aside:
        yield note(
            "event log",
            "set aside as unreadable: " + ", ".join(map(str, facts.set_aside)),
            "Please report it with the file; then remove it.",
            _HOWTO,
        )


def _asked(door: Door) -> tuple[BrokerView | None, NodeView | None, JupyterMigError | None]:
    async def ask() -> tuple[BrokerView, NodeView]:
        return await _answer(door, "/v1", BrokerView), await _answer(door, "/v1/node", NodeView)

    try:
        view, node = asyncio.run(ask())
    except JupyterMigError as error:
        return None, None, error
    return view, node, None


async def _answer(door: Door, path: str, kind: type[Kind]) -> Kind:
    """Without the client's own checks: what they refuse is what is looked for here."""
    try:
        found = await connection.ask(door, Question("GET", path, None, _PATIENCE_SECONDS))
        if found.status >= 400:
            raise codec.error_in(codec.decode(found.body, ErrorBody))
        return codec.decode(found.body, kind)
    except Gone as error:
        raise BrokerUnreachable(f"The broker hung up: {error}") from error


def _last_start(note: Path) -> JupyterMigError | None:
    try:
        return codec.error_in(codec.decode(note.read_bytes()[:_LONGEST_NOTE_BYTES], ErrorBody))
    except (OSError, JupyterMigError):
        return None


def _log_error(log: Path) -> str:
    """What SQLite says against the file; empty if nothing, or if there is none."""
    if not log.exists():
        return ""
    try:
        with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as database:
            (verdict,) = database.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if verdict == "ok" else str(verdict)
