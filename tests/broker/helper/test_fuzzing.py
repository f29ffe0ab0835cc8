"""Whatever numbers a broker that was taken over asks its helper about: what is not its, it keeps
its hands off.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, nullcontext
from threading import Thread

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mig.broker import processes
from jupyter_mig.broker.helper import line, verbs
from jupyter_mig.core.geometry import Spec
from tests.broker.helper.test_helper import ONE_G, Root, root

__all__ = ["root"]

_EDGES = (0, 1, 2, 19, 2**31 - 1, 2**31, 2**32 - 1)
_NUMBERS = st.sampled_from(_EDGES) | st.integers(0, 16) | st.integers(0, 2**32 - 1)
_KINDS = (
    *(verbs.Describe, verbs.LookOut, verbs.Observe, verbs.Look, verbs.Create, verbs.Destroy),
    *(verbs.Protect, verbs.Unprotect, verbs.Admit, verbs.Kill),
)


@st.composite
def _asked(draw: st.DrawFn) -> verbs.Verb:
    """A verb about anything. Not ``Own``: with that one may have what others made."""
    kind = draw(st.sampled_from(_KINDS))
    given_: dict[str, int] = {name: draw(_NUMBERS) for name in kind.__struct_fields__}
    if "pid" in given_:
        given_["pid"] = draw(st.sampled_from((0, 1, os.getpid(), 2**32 - 1)) | _NUMBERS)
    if "gently" in given_:
        given_["gently"] = draw(st.booleans())
    verb: verbs.Verb = msgspec.convert({"type": kind.__name__, **given_}, verbs.Verb)
    return verb


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nobody's business."""
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        yield process
        process.kill()


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=st.lists(_asked(), min_size=1, max_size=40))
def test_any_verbs_with_any_numbers(
    root: Root,
    bystander: subprocess.Popen[bytes],
    asked: list[verbs.Verb],
) -> None:
    """Each is answered, none in a way that is a bug. What others made stays, on its GPU and on one
    that is not its; no process ends that is not on a slice.
    """
    ours, theirs = line.make()
    others = [root.driver.create(Spec(uuid, ONE_G, 5)) for uuid in root.uuids]
    helper = Thread(target=line.serve, args=(theirs, root.helper()))
    helper.start()
    process = processes.find(bystander.pid)
    assert process is not None
    kill = verbs.Kill(0, others[0].gi_id, process.pid, process.started_ticks, gently=False)
    with closing(ours):
        replies = {}
        for number, verb in enumerate([*asked, kill]):
            ours.send(msgspec.json.encode(verbs.Request(number, verb)))
        for _ in (*asked, kill):
            reply = msgspec.json.decode(ours.recv(line.LONGEST_BYTES), type=verbs.Reply)
            replies[reply.number] = reply.outcome
        ours.shutdown(socket.SHUT_RDWR)
        helper.join()
    assert sorted(replies) == list(range(len(asked) + 1))
    bugs = [
        each for each in replies.values() if "The helper failed" in getattr(each, "message", "")
    ]
    assert not bugs
    assert bystander.poll() is None
    assert [each.identity for each in root.driver.instances(root.uuids[1])] == [others[1]]
    assert others[0] in [each.identity for each in root.driver.instances(root.uuids[0])]
    for uuid in root.uuids:
        for each in root.driver.instances(uuid):
            root.driver.destroy(uuid, each.identity)


@settings(max_examples=60, deadline=None)
@given(message=st.binary(min_size=1, max_size=200) | st.builds(msgspec.json.encode, st.text()))
def test_any_bytes(message: bytes) -> None:
    """What is no verb of ours is none; it does not come to a helper."""
    with pytest.raises(msgspec.MsgspecError):
        msgspec.json.decode(message, type=verbs.Request)


@pytest.mark.parametrize("message", [b"", b" " * (line.LONGEST_BYTES // 4)], ids=["none", "long"])
def test_messages_of_other_sizes_end_the_helper(root: Root, message: bytes) -> None:
    """One that is empty is as if the broker were gone."""
    ours, theirs = line.make()
    with closing(ours):
        ours.send(message)
        with pytest.raises(msgspec.MsgspecError) if message else nullcontext():
            line.serve(theirs, root.helper())
