from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

import pytest

from jupyter_mig.broker.callers.crowd import Crowd, Pace
from jupyter_mig.broker.remote.strangers import Strangers
from tests.broker.asking import say
from tests.broker.brokers import until
from tests.broker.households import asyncio_timeout
from tests.broker.remote.afar import Afar, afar

HERE, THERE = "127.0.0.1", "127.0.0.2"
FOR_EVER = 1e6


class Visitor:
    """A connection from one of this machine's addresses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def come(cls, far: Afar, address: str = HERE) -> Visitor:
        """Connect. Connections are accepted in the order in which they were made."""
        return cls(*await asyncio.open_connection(HERE, far.port, local_addr=(address, 0)))

    async def say(self, token: str) -> int:
        """Ask something with a token; the status of the answer."""
        self.writer.write(
            f"GET /v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        answer = await self.reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await self.reader.readexactly(length)
        return int(answer.split()[1])

    async def is_hung_up_on(self) -> None:
        """Return once that is so."""
        assert await self.reader.read() == b""

    async def go(self) -> None:
        """Hang up."""
        self.writer.close()
        await self.writer.wait_closed()


async def test_a_flood_keeps_nobody_out() -> None:
    """For each more the oldest nameless connection is hung up on: of the address that has most,
    so that one elsewhere stays; whoever has a token comes in, and whoever came with one stays.
    """
    async with afar(strangers=partial(Strangers, most=4, seconds=FOR_EVER)) as far:
        known = await Visitor.come(far)
        assert await known.say("alices") == 200
        elsewhere = await Visitor.come(far, THERE)
        flood = [await Visitor.come(far) for _ in range(9)]
        for each in flood[:6]:
            await each.is_hung_up_on()
        assert await known.say("alices") == 200
        assert await elsewhere.say("bobs") == 200
        assert await flood[-1].say("bobs") == 200
        assert (await far.ask_as("bobs", "GET", "/v1"))[0] == 200
        assert (await asyncio.to_thread(say, far.socket, "GET", "/v1"))[0] == 200
        for each in (known, elsewhere, *flood):
            await each.go()


async def test_an_address_has_so_many_strangers() -> None:
    """However many there may be in all; another address has as many of its own."""
    async with afar(strangers=partial(Strangers, most_each=2, seconds=FOR_EVER)) as far:
        here = [await Visitor.come(far) for _ in range(3)]
        there = [await Visitor.come(far, THERE) for _ in range(2)]
        await here[0].is_hung_up_on()
        for each in (*here[1:], *there):
            assert await each.say("alices") == 200
        for each in (*here, *there):
            await each.go()


@pytest.mark.parametrize("token", ["", "made-up"], ids=["silent", "refused"])
async def test_a_strangers_time_is_short(token: str) -> None:
    """Whoever says nothing, or shows a token that is none, is hung up on after a while; who is
    known may be silent as long as any.
    """
    async with afar(strangers=partial(Strangers, seconds=1.0)) as far:
        known, stranger = await Visitor.come(far), await Visitor.come(far)
        assert await known.say("alices") == 200
        if token:
            assert await stranger.say(token) == 401
        await stranger.is_hung_up_on()
        assert await known.say("alices") == 200
        for each in (known, stranger):
            await each.go()


async def test_a_users_connections_are_counted_when_he_is_known() -> None:
    """Twice as many as are served are kept open, and told so; then he is hung up on, and others
    come in as ever. Those that are over are counted no more.
    """
    few = partial(Strangers, seconds=FOR_EVER)
    async with afar(strangers=few, crowd=Crowd(connections=1)) as far:
        first, second, third = [await Visitor.come(far) for _ in range(3)]
        assert await first.say("alices") == 200
        assert await second.say("alices") == 429
        third.writer.write(
            b"GET /v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer alices\r\n\r\n"
        )
        await third.is_hung_up_on()
        other = await Visitor.come(far)
        assert await other.say("bobs") == 200
        await first.go()

        async def is_counted_no_more() -> bool:
            return await second.say("alices") == 200

        await until(is_counted_no_more)
        for each in (second, third, other):
            await each.go()


async def test_made_up_tokens_are_looked_at_at_a_pace(caplog: pytest.LogCaptureFixture) -> None:
    """However many come, the Hub is asked about so many a second, and few lines are logged. Who is
    known is served as ever; and who comes anew has his turn, from there and from elsewhere.
    """
    caplog.set_level(logging.INFO)
    few = partial(Strangers, seconds=FOR_EVER, tokens=Pace(50.0, 5))
    async with afar(strangers=few) as far:
        known = await Visitor.come(far)
        assert await known.say("alices") == 200
        flood = [await Visitor.come(far) for _ in range(40)]
        begun = time.monotonic()
        asked = [
            asyncio.ensure_future(each.say(f"made-up-{number}"))
            for number, each in enumerate(flood)
        ]
        assert await known.say("alices") == 200
        elsewhere = await Visitor.come(far, THERE)
        assert await elsewhere.say("bobs") == 200
        assert (await far.ask_as("bobs", "GET", "/v1"))[0] == 200
        assert await asyncio.gather(*asked) == [401] * 40
        assert time.monotonic() - begun > 34 / 50.0
        assert sum("Refuse ip=" in each for each in caplog.messages) == 10
        for each in (known, elsewhere, *flood):
            await each.go()


async def test_who_has_hung_up_keeps_nobody_waiting() -> None:
    """Tokens of connections that are gone are not looked at."""
    few = partial(Strangers, seconds=FOR_EVER, tokens=Pace(2.0, 3))
    async with afar(strangers=few) as far:
        flood = [await Visitor.come(far) for _ in range(60)]
        for number, each in enumerate(flood):
            each.writer.write(
                b"GET /v1 HTTP/1.1\r\nHost: localhost\r\n"
                b"Authorization: Bearer made-up-%d\r\n\r\n" % number
            )
            await each.go()
        assert (await far.ask_as("bobs", "GET", "/v1"))[0] == 200
        assert len(far.hub.asked) < 20


async def test_who_is_refused_again_and_again_stays_no_longer() -> None:
    """With tokens that are none, one after the other, for as long as he is let."""
    async with afar(strangers=partial(Strangers, seconds=0.5)) as far, asyncio_timeout(30):
        stranger = await Visitor.come(far)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await _refused_for_ever(stranger)
        await stranger.go()


async def _refused_for_ever(stranger: Visitor) -> None:
    while await stranger.say("made-up") == 401:
        pass
