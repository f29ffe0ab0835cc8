from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from jupyter_mig.broker.callers.keys import Keys
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser
from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.memory.witness import Chronicler
from tests.broker.households import emptied, household
from tests.broker.remote.afar import afar

HERE = Path(__file__).parent
LONGEST_ANSWER_SECONDS = 5.0
EXAMPLES = os.environ.get("FUZZING_EXAMPLES", "6")
"""Of each request and in each phase; more by hand."""


async def fuzz(url: str, notes: Path, *more: str) -> None:
    """Let schemathesis loose on a door; fail with what it found."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "fuzzing.toml"), "run", f"{url}/v1/openapi.json"),
        *("--seed", "1", "--generation-deterministic"),
        *("--max-examples", EXAMPLES, "--no-color", "--continue-on-failure", "--warnings", "off"),
        *("--suppress-health-check", "all", "--workers", "1"),
        *("--max-response-time", f"{LONGEST_ANSWER_SECONDS}", "--request-timeout", "20"),
        *more,
        cwd=notes,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@asynccontextmanager
async def forwarded(
    socket: Path, python: str = sys.executable, uid: int | None = None
) -> AsyncIterator[str]:
    """The URL of a process, of that user's, that forwards to a Unix socket."""
    process = await asyncio.create_subprocess_exec(
        *(python, str(HERE / "forwarder.py"), str(socket)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def test_the_unix_door_answers_as_it_says(runtime: Path) -> None:
    """Schemathesis, as a user who is the administrator, too: each answer is as described, none
    comes late or is a bug; and when the asker is dead no lease and no instance is left.
    """
    with household(runtime) as home:
        home.settings = msgspec.structs.replace(home.settings, longest_wait=0.05)
        annals = Annals(runtime / "annals.sqlite")
        home.witness = Chronicler(annals)
        async with home.started() as service:
            door = Door(service, home.driver, Keys(b"secret"), OneUser(os.getuid()), annals)
            door.open(runtime / "s")
            try:
                async with forwarded(runtime / "s") as url:
                    await fuzz(url, runtime)
                await emptied(service)
                annals.settle()
                assert annals.intervals(), "what only meets refusals proves little"
            finally:
                await door.close()
                annals.close()
        assert home.instances == 0


async def test_the_tcp_door_answers_as_it_says(tmp_path: Path) -> None:
    """Schemathesis with the token of a Hub's user: likewise; and once heartbeats stop nothing is
    left.
    """
    async with afar(silence=5.0) as far:
        far.service.settings = msgspec.structs.replace(far.service.settings, longest_wait=0.05)
        await fuzz(far.url, tmp_path, "--header", "Authorization: Bearer alices")
        await emptied(far.service)
