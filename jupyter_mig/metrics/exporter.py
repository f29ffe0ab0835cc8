"""A dcgm-exporter, asked now and then: the one way to a slice's utilization on Ampere.

Its text has no times. DCGM collects every 30 s by default, so what it says of a slice may still be
about the tenant before. It counts from the second collection that we saw begin in the present
tenancy; a collection shows in that the text is another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec
from tornado.httpclient import HTTPClientError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from jupyter_mig.metrics import exposition
from jupyter_mig.metrics.exposition import Key
from jupyter_mig.metrics.readings import EXPORTER, NotAvailable, Utilization, sensible
from jupyter_mig.metrics.subjects import Slice

VARIABLE = "JUPYTER_MIG_DCGM_EXPORTER"

FRESH_SECONDS = 5.0
"""How often it is asked, at most. It does not know anything new more often."""

RETRY_SECONDS = 30.0
"""How soon one is asked again that did not answer."""

ANSWER_SECONDS = 1.0
LARGEST_BYTES = 8 * 2**20

SETTLED_SECONDS = 65.0
"""After two default periods of DCGM and one of ours nothing is about the tenant before any more,
whether or not the text has changed."""


class Exported(msgspec.Struct, frozen=True):
    """What it said last, or why that is nothing. ``collected_after_seconds`` is a moment after
    which all of it is known to have been measured.
    """

    percent: Mapping[Key, dict[str, float]] = {}
    problem: str = ""
    collected_after_seconds: float | None = None

    def utilization(self, one: Slice, now: float) -> Utilization | NotAvailable:
        """How busy a slice is, at ``now`` on the exporter's clock."""
        if self.problem:
            return NotAvailable(self.problem)
        if not self._is_about_this_life(one, now):
            return NotAvailable(f"{EXPORTER} has not measured it since it was handed out")
        percent = self.percent.get(_key(one))
        if percent is None:
            return NotAvailable(
                f"{EXPORTER} does not list this slice; it may have to be started again to see it"
            )
        return sensible(percent, EXPORTER)

    def _is_about_this_life(self, one: Slice, now: float) -> bool:
        after = self.collected_after_seconds
        seen = after is not None and after >= now - one.life_seconds
        return seen or one.life_seconds > SETTLED_SECONDS


NO_EXPORTER = Exported(
    problem=f"this GPU tells the utilization of its slices through DCGM only: set {VARIABLE}"
)


class Exporter:
    """The exporter at an address such as ``http://127.0.0.1:9400/metrics``. Used on one loop."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._asked_at: float | None = None
        self._read_at: float | None = None
        self._text = b""
        self._last = Exported(problem=_problem_with(address))
        self._changed_after: float | None = None
        self._collected_after: float | None = None

    async def exported(self) -> Exported:
        """What it says, asked again if that is old. Raises nothing: it is one source of several."""
        now = self._clock()
        if not self._is_due(now):
            return self._last
        self._asked_at = now
        try:
            text = await self._text_now()
        except (OSError, HTTPClientError, ValueError) as error:
            self._last = Exported(problem=f"{EXPORTER} at {self._address}: {_words(error)}")
        else:
            self._last = self._read(text, now)
        return self._last

    def _is_due(self, now: float) -> bool:
        if _problem_with(self._address):
            return False
        pause = RETRY_SECONDS if self._last.problem else FRESH_SECONDS
        return self._asked_at is None or now - self._asked_at >= pause

    async def _text_now(self) -> bytes:
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=LARGEST_BYTES)
        try:
            answer = await client.fetch(
                self._address,
                connect_timeout=ANSWER_SECONDS,
                request_timeout=ANSWER_SECONDS,
                follow_redirects=False,
                decompress_response=False,
            )
        finally:
            client.close()
        return answer.body

    def _read(self, text: bytes, asked_at: float) -> Exported:
        """What the text says. If it is another one, DCGM has collected since it was read before;
        what it collected is of the time since the collection before, so since the change before.
        """
        if text != self._text:
            self._collected_after, self._changed_after = self._changed_after, self._read_at
            self._text = text
        self._read_at = asked_at
        percent = exposition.percent_by_slice(text.decode("utf-8", "replace"))
        return Exported(percent, collected_after_seconds=self._collected_after)


def _key(one: Slice) -> Key:
    identity = one.identity
    return one.gpu_uuid, None if identity is None or identity.is_gpu else identity.gi_id


def _problem_with(address: str) -> str:
    try:
        parts = urlsplit(address)
        usable = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    return "" if usable else f"{VARIABLE} is not an address such as http://127.0.0.1:9400/metrics"


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
