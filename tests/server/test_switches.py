"""Changes of size: the old slice is given up for the new one, and comes back if that fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from typing import Any

import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.wire import meeting
from tests.server.servers import Home, Reply, Server, serving, until

PLAIN = "python3"
SMALL = "python3-mig-1g.5gb"
MIDDLE = "python3-mig-3g.20gb"
WHOLE = "python3-mig-7g.40gb"
BLOCKING = "--AsyncMultiKernelManager.use_pending_kernels=False"
BROKEN = ("/nowhere/to/be/found", "{connection_file}")


async def resize(server: Server, kernel: str, size: str, **more: Any) -> Reply:
    """What the front end asks for."""
    body = {"size": size, **more}
    return await server.ask("POST", f"jupyter-mig/api/kernels/{kernel}/size", body)


async def session_kernels(server: Server) -> list[str]:
    """The kernels of all sessions, as JupyterLab's poll learns of them."""
    sessions = (await server.ask("GET", "api/sessions")).body
    return [session["kernel"]["id"] for session in sessions]


@pytest.mark.parametrize("options", [(), (BLOCKING,)])
async def test_a_kernel_that_has_the_whole_gpu_gets_another_size(
    user: Home, options: tuple[str, ...]
) -> None:
    """No second slice is needed; both sessions of it follow, folder and notebook stay the same."""
    (user.notebooks / "deep").mkdir()
    async with serving(user, *options) as server:
        session = (await server.start_session(WHOLE, "deep/train.ipynb")).body
        old = session["kernel"]["id"]
        before = await server.environment(old)
        folder = await server.run(old, "import os; print(os.getcwd())")
        body = {"path": "console", "name": "", "type": "console", "kernel": {"id": old}}
        await server.ask("POST", "api/sessions", body)

        reply = await resize(server, old, "3g.20gb")

        new = reply.body["kernel_id"]
        assert reply == Reply(200, {"kernel_id": new, "kernelspec": MIDDLE, "size": "3g.20gb"})
        assert await session_kernels(server) == [new, new]
        after = await server.environment(new)
        assert after["JUPYTER_MIG_PROFILE"] == "3g.20gb"
        assert after["JPY_SESSION_NAME"] == before["JPY_SESSION_NAME"]
        assert await server.run(new, "import os; print(os.getcwd())") == folder
        await server.gone(old)
        lease = await server.lease_in(new, "bound")
        assert lease.label.endswith("deep/train.ipynb")
        assert [each.lease_id for each in await user.leases()] == [lease.lease_id]
        await server.ask("DELETE", f"api/sessions/{session['id']}")
        await user.empty()


async def test_a_kernel_without_a_session_and_its_restart(user: Home) -> None:
    """As scripts have them; the new kernel restarts on its slice as any other does."""
    async with serving(user) as server:
        old = await server.start(WHOLE)
        await server.lease_in(old, "bound")
        new = (await resize(server, old, "2g.10gb")).body["kernel_id"]
        lease = await server.lease_in(new, "bound")
        assert (await server.ask("POST", f"api/kernels/{new}/restart")).status == 200
        restarted = await server.lease_in(new, "bound")
        assert (restarted.lease_id, restarted.slice) == (lease.lease_id, lease.slice)
        back = (await resize(server, new, "7g.40gb")).body["kernel_id"]
        assert (await server.environment(back))["JUPYTER_MIG_PROFILE"] == "7g.40gb"
        assert await session_kernels(server) == []


async def test_what_would_not_fit_is_refused_before_anything_stops(user: Home) -> None:
    """The kernel goes on with its slice and its variables."""
    async with serving(user) as server:
        kernel = await server.start(MIDDLE)
        other = await server.start(MIDDLE)
        await server.lease_in(other, "bound")
        await server.run(kernel, "kept = 42")
        refused = await resize(server, kernel, "7g.40gb")
        assert (refused.status, refused.body["kind"]) == (503, "no-room")
        assert await server.run(kernel, "print(kept)") == "42\n"
        assert len(await user.leases()) == 2


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"size": "9g.99gb"}, 404, "unknown-size"),
        ({"size": "1g.5gb"}, 409, "refused"),
        ({"size": "2g.10gb", "kernelspec": "python3"}, 400, "malformed-spec"),
        ({"size": "2g.10gb", "kernelspec": SMALL}, 400, "malformed-spec"),
        ({"size": "2g.10gb", "colour": "red"}, 400, "bad-request"),
        ({"size": ""}, 400, "bad-request"),
        ({}, 400, "bad-request"),
        ([], 400, "bad-request"),
        (None, 400, "bad-request"),
    ],
)
async def test_nonsense_is_refused(user: Home, body: Any, status: int, kind: str) -> None:
    """With the field's name where it is the form; the kernel does not notice."""
    async with serving(user) as server:
        kernel = await server.start(SMALL)
        await server.lease_in(kernel, "bound")
        refused = await server.ask("POST", f"jupyter-mig/api/kernels/{kernel}/size", body)
        assert (refused.status, refused.body["kind"]) == (status, kind)
        unknown = await resize(server, "1-1-1-1-1", "2g.10gb")
        assert (unknown.status, unknown.body["kind"]) == (404, "unknown-lease")
        assert await server.run(kernel, "print(1)") == "1\n"


@pytest.mark.parametrize("options", [(), (BLOCKING,)])
async def test_the_old_size_comes_back_if_the_new_kernel_does_not_start(
    user: Home, options: tuple[str, ...]
) -> None:
    """On a full GPU, from the room kept for it; the answer names the kernel that came back."""
    user.kernelspec("broken", "3g.20gb", *BROKEN)
    async with serving(user, *options) as server:
        session = (await server.start_session(WHOLE)).body
        old = session["kernel"]["id"]
        await server.lease_in(old, "bound")
        failed = await resize(server, old, "3g.20gb", kernelspec="broken")
        assert (failed.status, failed.body["kind"]) == (500, "error")
        back = failed.body["kernel_id"]
        assert failed.body["situation"] == (
            "The kernel was started again with 7g.40gb; its variables are lost."
        )
        assert await session_kernels(server) == [back]
        assert (await server.environment(back))["JUPYTER_MIG_PROFILE"] == "7g.40gb"
        kernels = (await server.ask("GET", "api/kernels")).body
        assert [kernel["id"] for kernel in kernels] == [back]
        assert [lease.kernel_id for lease in await user.leases()] == [back]


async def test_neither_size_starts(user: Home) -> None:
    """Both reasons are told, and nothing is held."""
    user.kernelspec("broken", "3g.20gb", *BROKEN)
    user.kernelspec("fleeting", "7g.40gb")
    async with serving(user) as server:
        session = (await server.start_session("fleeting")).body
        old = session["kernel"]["id"]
        await server.run(old, "1")
        shutil.rmtree(user.directory / "data" / "kernels" / "fleeting")
        failed = await resize(server, old, "3g.20gb", kernelspec="broken")
        assert failed.status == 500
        assert "The old size 7g.40gb could not be started again" in failed.body["situation"]
        assert "kernel_id" not in failed.body
        assert await session_kernels(server) == []
        await user.empty()
        assert server.stop() == 0


async def test_a_change_that_is_called_off_while_the_old_slice_empties(user: Home) -> None:
    """Somebody still uses the old one. Then the old size comes back once it is empty."""
    async with serving(user) as server:
        session = (await server.start_session(WHOLE)).body
        old = session["kernel"]["id"]
        lease = await server.lease_in(old, "bound")
        assert lease.slice is not None
        with simulated.attached(user.broker_dir / meeting.SILICON) as node:
            lingering = node.cuda_client(lease.slice.mig_uuid)
            change = asyncio.ensure_future(resize(server, old, "2g.10gb"))
            new = await until(lambda: _another(server, old), "for the session to be moved")
            await server.lease_in(new, "waiting")
            assert (await server.ask("DELETE", f"jupyter-mig/api/leases/{new}")).status == 200
            back = await until(lambda: _another(server, new), "for the old size to come back")
            lingering.release()
        reply = await change
        assert (reply.status, reply.body["kind"]) == (410, "cancelled")
        assert reply.body["kernel_id"] == back
        assert (await server.environment(back))["JUPYTER_MIG_PROFILE"] == "7g.40gb"


async def test_a_notebook_that_is_closed_in_the_middle(user: Home) -> None:
    """Nobody wants either size: nothing is started any more."""
    async with serving(user) as server:
        session = (await server.start_session(WHOLE)).body
        old = session["kernel"]["id"]
        lease = await server.lease_in(old, "bound")
        assert lease.slice is not None
        with simulated.attached(user.broker_dir / meeting.SILICON) as node:
            with node.cuda_client(lease.slice.mig_uuid):
                change = asyncio.ensure_future(resize(server, old, "2g.10gb"))
                new = await until(lambda: _another(server, old), "for the session to be moved")
                await server.lease_in(new, "waiting")
                await server.ask("DELETE", f"api/sessions/{session['id']}")
                reply = await change
            assert (reply.status, reply.body["kind"]) == (410, "cancelled")
        await server.gone(new)
        await user.empty()


async def _another(server: Server, kernel: str) -> str | None:
    """The kernel of the only session, if it is another by now."""
    kernels = await session_kernels(server)
    return next((each for each in kernels if each != kernel), None)


async def test_many_changes_at_once(user: Home) -> None:
    """Whatever comes of each, every session has one kernel that runs on one slice."""
    sizes = ("1g.5gb", "2g.10gb", "3g.20gb")
    async with serving(user) as server:
        for _ in range(3):
            await server.start_session("python3-mig-2g.10gb")
        for turn in range(3):
            kernels = await session_kernels(server)
            wishes = [sizes[(turn + each) % 3] for each in range(3)]
            replies = await asyncio.gather(*map(resize, [server] * 3, kernels, wishes))
            assert {reply.status for reply in replies} <= {200, 409, 503}, replies
        kernels = await session_kernels(server)
        assert len(set(kernels)) == 3
        slices = {(await server.environment(kernel))["JUPYTER_MIG_UUID"] for kernel in kernels}
        assert len(slices) == 3
        for session in (await server.ask("GET", "api/sessions")).body:
            await server.ask("DELETE", f"api/sessions/{session['id']}")
        await user.empty()


async def test_two_tabs_that_press_at_once(user: Home) -> None:
    """One of them changes the size, the other is told so."""
    async with serving(user) as server:
        kernel = await server.start(WHOLE)
        await server.lease_in(kernel, "bound")
        both = await asyncio.gather(
            resize(server, kernel, "3g.20gb"), resize(server, kernel, "2g.10gb")
        )
        first, second = sorted(both, key=lambda reply: reply.status)
        assert (first.status, second.status) == (200, 409)
        assert "already" in second.message
        (lease,) = await user.leases()
        assert lease.kernel_id == first.body["kernel_id"]


async def test_a_client_that_goes_away_changes_nothing(user: Home) -> None:
    """The new kernel is there, whether or not somebody listens to the answer."""
    async with serving(user) as server:
        session = (await server.start_session(WHOLE)).body
        old = session["kernel"]["id"]
        await server.lease_in(old, "bound")
        host, _, port = server.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /jupyter-mig/api/kernels/{old}/size?token=secret HTTP/1.1",
            f"Host: {host}:{port}",
            "Content-Length: 19",
        )
        writer.write("\r\n".join((*head, "", '{"size": "2g.10gb"}')).encode())
        await writer.drain()

        new = await until(lambda: _another(server, old), "for the session to be moved")
        writer.close()
        assert (await server.environment(new))["JUPYTER_MIG_PROFILE"] == "2g.10gb"
        await server.gone(old)
        assert len(await user.leases()) == 1


async def test_from_no_slice_to_one_that_is_free(user: Home) -> None:
    """The plain kernel is stopped once the sized one runs."""
    async with serving(user) as server:
        session = (await server.start_session(PLAIN)).body
        reply = await resize(server, session["kernel"]["id"], "2g.10gb")
        new = reply.body["kernel_id"]
        assert await session_kernels(server) == [new]
        assert (await server.environment(new))["JUPYTER_MIG_PROFILE"] == "2g.10gb"
        await server.gone(session["kernel"]["id"])


async def test_from_no_slice_to_one_that_is_taken(user: Home) -> None:
    """Refused at once, not put in line: the kernel goes on."""
    async with serving(user) as server:
        await server.lease_in(await server.start(WHOLE), "bound")
        kernel = (await server.start_session(PLAIN)).body["kernel"]["id"]
        await server.run(kernel, "kept = 42")
        refused = await resize(server, kernel, "2g.10gb")
        assert (refused.status, refused.body["kind"]) == (503, "no-room")
        assert await server.run(kernel, "print(kept)") == "42\n"
        assert await session_kernels(server) == [kernel]
        assert len(await user.leases()) == 1


async def test_a_kernel_in_line_takes_a_smaller_size_that_is_free(user: Home) -> None:
    """It leaves the line once it has that; if that is taken too, it stays there."""
    async with serving(user) as server:
        await server.lease_in(await server.start(MIDDLE), "bound")
        session = (await server.start_session(WHOLE)).body
        waiting = session["kernel"]["id"]
        await server.lease_in(waiting, "waiting")
        new = (await resize(server, waiting, "2g.10gb")).body["kernel_id"]
        assert (await server.environment(new))["JUPYTER_MIG_PROFILE"] == "2g.10gb"
        await server.gone(waiting)
        again = (await server.start_session(WHOLE)).body["kernel"]["id"]
        await server.lease_in(again, "waiting")
        refused = await resize(server, again, "4g.20gb")
        assert (refused.status, refused.body["kind"]) == (503, "no-room")
        assert (await server.lease_in(again, "waiting")).place == 1


async def test_sigterm_in_the_middle(user: Home) -> None:
    """One is enough, and nothing is left."""
    async with serving(user) as server:
        session = (await server.start_session(WHOLE)).body
        old = session["kernel"]["id"]
        await server.run(old, "1")
        change = asyncio.ensure_future(resize(server, old, "2g.10gb"))
        await until(lambda: _another(server, old), "for the change to have begun")
        assert await asyncio.to_thread(server.stop) == 0
        change.cancel()
        assert "Traceback" not in server.log(), server.log()
    await user.empty()


async def test_the_broker_is_killed_in_the_middle(user: Home) -> None:
    """The next one knows of the room that is kept; one slice is held in the end."""
    async with serving(user) as server:
        session = (await server.start_session(WHOLE)).body
        old = session["kernel"]["id"]
        await server.lease_in(old, "bound")
        change = asyncio.ensure_future(resize(server, old, "3g.20gb"))
        broker = await user.broker_pid()
        await until(lambda: _another(server, old), "for the change to have begun")
        os.kill(broker, signal.SIGKILL)
        reply = await change
        new = reply.body["kernel_id"]
        assert await session_kernels(server) == [new]
        assert (await server.environment(new))["JUPYTER_MIG_PROFILE"] in ("3g.20gb", "7g.40gb")
        assert [lease.kernel_id for lease in await user.leases()] == [new]
        await server.ask("DELETE", f"api/sessions/{session['id']}")
        await user.empty()
