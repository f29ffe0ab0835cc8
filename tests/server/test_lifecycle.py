"""A kernel's life on a slice, as a front end sees it: real server, broker, kernels."""

from __future__ import annotations

import os
import signal

from tests.server.servers import Home, serving

SMALL = "python3-mig-1g.5gb"
WHOLE = "python3-mig-7g.40gb"


async def test_start_restart_die_and_shut_down(user: Home) -> None:
    """One slice from first to last: over a restart, over a death, and free at the end."""
    async with serving(user) as server:
        reply = await server.start_session(SMALL, "train.ipynb")
        kernel = reply.body["kernel"]["id"]
        first = await server.environment(kernel)
        lease = await server.lease_in(kernel, "bound")
        assert lease.slice is not None
        assert lease.label.endswith("train.ipynb")
        assert first["CUDA_VISIBLE_DEVICES"] == lease.slice.mig_uuid
        assert first["JUPYTER_MIG_LEASE"] == lease.lease_id
        assert first["JUPYTER_MIG_SIMULATED"] == "1"
        pid = await server.pid(kernel)
        assert lease.kernel_pid == pid
        assert user.instances() == 1

        assert (await server.ask("POST", f"api/kernels/{kernel}/interrupt")).status == 204
        assert await server.pid(kernel) == pid

        assert (await server.ask("POST", f"api/kernels/{kernel}/restart")).status == 200
        restarted = await server.pid(kernel)
        assert restarted != pid
        assert (await server.environment(kernel))["JUPYTER_MIG_LEASE"] == lease.lease_id

        os.kill(restarted, signal.SIGKILL)
        await server.lease_in(kernel, "orphaned")
        await server.lease_in(kernel, "bound")
        assert (await server.environment(kernel))["JUPYTER_MIG_UUID"] == lease.slice.mig_uuid
        assert [each.lease_id for each in await user.leases()] == [lease.lease_id]

        await server.ask("DELETE", f"api/sessions/{reply.body['id']}")
        await user.empty()


async def test_switching_gives_the_new_size_and_frees_the_old(user: Home) -> None:
    """What "Change Kernel" does: the new kernel starts first, then the old one ends."""
    async with serving(user) as server:
        session = (await server.start_session(SMALL)).body
        await server.run(session["kernel"]["id"], "1")
        body = {"kernel": {"name": "python3-mig-2g.10gb"}}
        changed = await server.ask("PATCH", f"api/sessions/{session['id']}", body)
        kernel = changed.body["kernel"]["id"]
        assert (await server.environment(kernel))["JUPYTER_MIG_PROFILE"] == "2g.10gb"
        await server.gone(session["kernel"]["id"])
        await server.ask("DELETE", f"api/kernels/{kernel}")
        await user.empty()


async def test_switching_works_on_a_full_gpu(user: Home) -> None:
    """The new kernel waits; the old one, which held everything, ends meanwhile and makes room."""
    async with serving(user) as server:
        session = (await server.start_session(WHOLE)).body
        await server.run(session["kernel"]["id"], "1")
        body = {"kernel": {"name": "python3-mig-3g.20gb"}}
        changed = await server.ask("PATCH", f"api/sessions/{session['id']}", body)
        kernel = changed.body["kernel"]["id"]
        assert (await server.environment(kernel))["JUPYTER_MIG_PROFILE"] == "3g.20gb"
        assert [lease.kernel_id for lease in await user.leases()] == [kernel]


async def test_the_eighth_waits_and_starts_when_one_is_freed(user: Home) -> None:
    """Its websocket opens by itself then, so what was typed meanwhile runs."""
    async with serving(user) as server:
        kernels = [await server.start(SMALL) for _ in range(7)]
        for kernel in kernels:
            await server.lease_in(kernel, "bound")
        eighth = await server.start(SMALL)
        assert (await server.lease_in(eighth, "waiting")).place == 1
        await server.ask("DELETE", f"api/kernels/{kernels[3]}")
        assert (await server.environment(eighth))["JUPYTER_MIG_PROFILE"] == "1g.5gb"
        assert len({lease.lease_id for lease in await user.leases()}) == 7
        for kernel in {*kernels, eighth} - {kernels[3]}:
            await server.ask("DELETE", f"api/kernels/{kernel}")
        await user.empty()


async def test_the_slice_wins_over_the_specs_environment(user: Home) -> None:
    """Also over what the server was started with; and nested runs do not come back to us."""
    user.kernelspec("mine", "20gb+", CUDA_VISIBLE_DEVICES="0", NVIDIA_VISIBLE_DEVICES="all", A="1")
    user.environ["JUPYTER_DEFAULT_PROVISIONER_NAME"] = "local-provisioner"
    async with serving(user) as server:
        found = await server.environment(await server.start("mine"))
        assert found["CUDA_VISIBLE_DEVICES"].startswith("MIG-")
        assert found["NVIDIA_VISIBLE_DEVICES"] == found["CUDA_VISIBLE_DEVICES"]
        assert found["JUPYTER_MIG_PROFILE"] == "3g.20gb"
        assert found["A"] == "1"
        assert "JUPYTER_DEFAULT_PROVISIONER_NAME" not in found


async def test_kernels_keep_their_slices_when_the_broker_is_killed(user: Home) -> None:
    """The next client starts a broker, which adopts them."""
    async with serving(user) as server:
        kernel = await server.start(SMALL)
        before = await server.environment(kernel)
        os.kill(await user.broker_pid(), signal.SIGKILL)
        lease = await server.lease_in(kernel, "bound")
        assert lease.lease_id == before["JUPYTER_MIG_LEASE"]
        assert user.instances() == 1
        await server.ask("POST", f"api/kernels/{kernel}/restart")
        assert (await server.environment(kernel))["JUPYTER_MIG_LEASE"] == lease.lease_id
        await server.ask("DELETE", f"api/kernels/{kernel}")
        await user.empty()


async def test_sigterm_ends_the_server_with_a_start_waiting_one_failed_one_cancelled(
    user: Home,
) -> None:
    """One SIGTERM is enough, and it does not take longer than with a running kernel alone."""
    user.kernelspec("broken", "9g.99gb")
    async with serving(user) as server:
        running = await server.start(WHOLE)
        await server.run(running, "1")
        cancelled = await server.start(WHOLE)
        await server.lease_in(cancelled, "waiting")
        await server.ask("DELETE", f"jupyter-mig/api/leases/{cancelled}")
        await server.gone(cancelled)
        await server.dead(await server.start("broken"))
        waiting = await server.start(WHOLE)
        await server.lease_in(waiting, "waiting")
        assert server.stop() == 0
    await user.empty()
