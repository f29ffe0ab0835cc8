from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.remote import listening
from jupyter_mig.client.remote import Remote, named
from jupyter_mig.wire.messages import LeaseRequest
from tests.broker.asking import say
from tests.broker.brokers import NODE, until
from tests.broker.clocks import Clock
from tests.broker.remote.afar import Afar, afar

ASK = {"kernel_id": "k", "size": "1g.5gb", "wait_seconds": 5}


async def test_a_lease_from_asking_to_giving_back() -> None:
    """With nothing but a token: ask, bind, look, give back; it hangs on heartbeats all the time."""
    async with afar() as far:
        status, lease = await far.ask_as("alices", "POST", "/v1/leases", ASK)
        assert (status, lease["state"], lease["heartbeat_seconds"]) == (200, "granted", 20.0)
        path = f"/v1/leases/{lease['lease_id']}"
        status, bound = await far.ask_as("alices", "PUT", f"{path}/kernel", {"pid": 1})
        assert (status, bound["state"], bound["kernel_pid"]) == (200, "bound", None)
        assert (await far.ask_as("alices", "POST", f"{path}/renewal"))[0] == 200
        assert (await far.ask_as("alices", "PUT", f"{path}/kernel", {"pid": 2}))[0] == 200
        assert (await far.ask_as("alices", "PUT", f"{path}/heartbeat"))[0] == 200
        assert (await far.ask_as("alices", "DELETE", path))[0] == 200

        async def over() -> bool:
            status, view = await far.ask_as("alices", "GET", path)
            return status == 410 or view.get("state") == "released"

        await until(over)
        assert (await far.ask_as("alices", "PUT", f"{path}/heartbeat"))[0] == 410


async def test_each_sees_his_own() -> None:
    """Another's lease is answered as one that does not exist, on every path there is."""
    async with afar() as far:
        _, lease = await far.ask_as("alices", "POST", "/v1/leases", ASK)
        path = f"/v1/leases/{lease['lease_id']}"
        for method, target, body in (
            ("GET", path, None),
            ("GET", f"{path}/key", None),
            ("DELETE", path, None),
            ("PUT", f"{path}/kernel", {"pid": 1}),
            ("PUT", f"{path}/heartbeat", None),
            ("POST", f"{path}/renewal", None),
            ("POST", f"{path}/resize", {"size": "2g.10gb"}),
        ):
            assert (await far.ask_as("bobs", method, target, body))[0] == 404
        assert await far.ask_as("bobs", "GET", "/v1/leases") == (200, [])
        _, node = await far.ask_as("bobs", "GET", "/v1/node")
        assert lease["lease_id"] not in str(node)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "alices"},
        {"Authorization": "Basic YWxpY2U6YWxpY2Vz"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nobodys"},
        {"Cookie": "jupyterhub-services=alices; token=alices"},
        {"X_Forwarded_User": "alice", "X_Remote_User": "root", "Remote_User": "alice"},
        {"X_Api_Key": "alices", "Token": "alices"},
        {"Authorization": "Bearer nobodys", "X_Forwarded_For": "127.0.0.1"},
    ],
    ids=lambda headers: " ".join(headers) or "nothing",
)
async def test_nothing_but_a_token_identifies(headers: dict[str, str]) -> None:
    """Names, cookies and addresses that a request claims are worth nothing, nor is the query."""
    async with afar() as far:
        for path in ("/v1", "/v1/leases", "/v1/leases?token=alices", "/nowhere"):
            status, body = await far.ask("GET", path, **headers)
            assert (status, body["kind"]) == (401, "unauthenticated")
        status, _ = await far.ask("POST", "/v1/leases", ASK, **headers)
        assert status == 401
        assert not far.service.state.leases


async def test_two_tokens_are_one_too_many() -> None:
    """Whoever stands between cannot add one in the hope that the other is looked at."""
    async with afar() as far:
        reader, writer = await asyncio.open_connection("127.0.0.1", far.port)
        writer.write(
            b"GET /v1/leases HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Authorization: Bearer alices\r\nAuthorization: Bearer bobs\r\n\r\n"
        )
        assert b" 401 " in await reader.readline()
        await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_a_token_revoked_at_the_hub_opens_nothing_after_30_seconds() -> None:
    """Nor on a connection on which it was valid; a new one of the same user's does at once."""
    clock = Clock()
    async with afar(clock=clock) as far:
        assert (await far.ask_as("alices", "GET", "/v1/leases"))[0] == 200
        far.hub.tokens["newer"] = far.hub.tokens.pop("alices")
        clock.now = 30.0
        assert (await far.ask_as("alices", "GET", "/v1/leases"))[0] == 401
        assert (await far.ask_as("alices", "POST", "/v1/leases", ASK))[0] == 401
        assert (await far.ask_as("newer", "GET", "/v1/leases")) == (200, [])


async def test_who_was_refused_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With the address, without the token."""
    caplog.set_level("INFO")
    async with afar() as far:
        await far.ask_as("made-up", "GET", "/v1")
    assert "Refuse ip=127.0.0.1 reason=unauthenticated path=/v1 message=" in caplog.text
    assert "made-up" not in caplog.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "token", "TOKEN"])
async def test_both_schemes_are_understood(scheme: str) -> None:
    """JupyterHub says ``token``, everybody else ``Bearer``."""
    async with afar() as far:
        assert (await far.ask("GET", "/v1", Authorization=f"{scheme} alices"))[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:8123", 200),
        ("Broker.Example", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("broker.example.", 400),
        ("169.254.169.254", 400),
    ],
)
async def test_only_its_own_names_are_answered_to(host: str, status: int) -> None:
    """A browser that was led here by another name (DNS rebinding) says that name."""
    async with afar() as far:
        said, _ = await far.ask("GET", "/v1", Authorization="Bearer alices", Host=host)
        assert said == status
        if status != 200:
            assert far.hub.asked == [], "the token went no further"


@pytest.mark.parametrize("path", ["/v1/admin", "/v1/admin/leases", "/v1/admin/gpus/x/drain"])
async def test_nobody_is_an_administrator_from_afar(path: str) -> None:
    """Not even with the right token of an administrator."""
    async with afar() as far:
        for method in ("GET", "POST", "DELETE"):
            assert (await far.ask_as("alices", method, path))[0] == 401


async def test_when_the_hub_is_down_that_is_said() -> None:
    """503 and who can see why; the Unix socket is answered as ever, and so are who is known."""
    async with afar() as far:
        await far.ask_as("alices", "GET", "/v1")
        far.hub.tokens["bobs"] = 500
        status, body = await far.ask_as("bobs", "GET", "/v1")
        assert (status, body["kind"]) == (503, "hub-unreachable")
        assert "hub_api_url" in body["next_step"]
        assert (await far.ask_as("alices", "GET", "/v1"))[0] == 200
        assert (await asyncio.to_thread(say, far.socket, "GET", "/v1"))[0] == 200


async def test_a_lost_heartbeat_ends_a_lease() -> None:
    """Whoever falls silent loses the slice; waiting in line, too."""
    async with afar(silence=0.3) as far:
        _, held = await far.ask_as("alices", "POST", "/v1/leases", {**ASK, "size": "7g.40gb"})
        assert held["state"] == "granted"
        behind = {"kernel_id": "l", "size": "7g.40gb", "patience_seconds": 60}
        _, waiting = await far.ask_as("bobs", "POST", "/v1/leases", behind)
        assert (waiting["state"], waiting["heartbeat_seconds"]) == ("waiting", 0.3 / 3)

        async def all_over() -> bool:
            return not far.service.state.leases

        await until(all_over)


async def test_heartbeats_keep_a_lease() -> None:
    """For far longer than one may be silent; those of another user do not."""
    async with afar(silence=0.4) as far:
        _, lease = await far.ask_as("alices", "POST", "/v1/leases", ASK)
        path = f"/v1/leases/{lease['lease_id']}/heartbeat"
        for _ in range(12):
            assert (await far.ask_as("alices", "PUT", path))[0] == 200
            await asyncio.sleep(0.1)  # the pace of a living holder, not a wait for something

        async def over() -> bool:
            assert (await far.ask_as("bobs", "PUT", path))[0] == 404
            return not far.service.state.leases

        await until(over)


async def test_a_client_speaks_for_its_leases() -> None:
    """As long as the kernel's process lives, also while nobody runs the client's event loop."""
    async with afar(silence=0.6) as far:
        client = far.client("alices")
        lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
        kernel = await asyncio.create_subprocess_exec("sleep", "60")
        await client.bind(lease.lease_id, kernel.pid)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + 2.0
        while loop.time() < give_up_at:
            await asyncio.sleep(0.05)
            assert far.service.state.leases[lease.lease_id].state.value == "bound"
        kernel.kill()
        await kernel.wait()

        async def over() -> bool:
            return not far.service.state.leases

        await until(over)
        client.close()


async def test_a_kernel_that_ended_while_it_was_bound_is_not_spoken_for() -> None:
    """No error either: whoever started it finds out by himself."""
    async with afar(silence=0.3) as far:
        client = far.client("alices")
        lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
        kernel = await asyncio.create_subprocess_exec("true")
        await kernel.wait()
        assert (await client.bind(lease.lease_id, kernel.pid)).state == "bound"

        async def over() -> bool:
            return not far.service.state.leases

        await until(over)
        client.close()


async def test_a_client_that_gives_back_is_free_at_once() -> None:
    """Not only when its silence is noticed."""
    async with afar(silence=600) as far:
        client = far.client("alices")
        lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
        await client.bind(lease.lease_id, 1)
        await client.release(lease.lease_id)

        async def over() -> bool:
            return not far.service.state.leases

        await until(over)
        client.close()


async def test_a_batch_is_one_heartbeat_each() -> None:
    """One lease that is given back does not take the others with it."""
    async with afar(silence=600) as far:
        client = far.client("alices")
        first, second = await client.request_all(
            [LeaseRequest(kernel_id=name, size="1g.5gb") for name in "ab"]
        )
        await client.release(first.lease_id)

        async def over() -> bool:
            return set(far.service.state.leases) == {second.lease_id}

        await until(over)
        await client.release(second.lease_id)
        client.close()


async def test_a_wrong_token_is_said_to_be() -> None:
    """To the client, as the broker's words; nothing listens, as ours."""
    async with afar() as far:
        client = far.client("nobodys")
        with pytest.raises(errors.Unauthenticated, match="opens nothing"):
            await client.leases()
    with pytest.raises(errors.BrokerUnreachable, match="No broker answers"):
        await far.client("alices").leases()


async def _command(
    far: Afar, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """``jupyter mig …`` as a process that finds the broker by its environment."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jupyter_mig.cli", *arguments),
        env={
            **os.environ,
            "JUPYTER_MIG_URL": far.url,
            "JUPYTERHUB_API_TOKEN": "alices",
            "JUPYTER_MIG_DRIVER": f"simulated:{NODE}",
            **environ,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    written, complained = await process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode or 0, written, complained)


async def test_tls(tmp_path: Path) -> None:
    """A client talks to a door with a certificate that it trusts, and to no other."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    making = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", key, "-out", certificate),
        stderr=subprocess.PIPE,
    )
    await making.communicate()
    async with afar(tls=listening.tls(certificate, key)) as far:
        url = f"https://localhost:{far.port}"
        refused = await _command(far, "leases", "--json", JUPYTER_MIG_URL=url)
        assert b"CERTIFICATE_VERIFY_FAILED" in refused.stderr
        assert refused.returncode != 0
        trusting = {"JUPYTER_MIG_URL": url, "SSL_CERT_FILE": certificate}
        answered = await _command(far, "leases", "--json", **trusting)
        assert json.loads(answered.stdout) == [], answered.stderr


async def test_a_command_is_lent_nothing_from_afar() -> None:
    """What becomes the command cannot say that it lives. It is told at once, and what to do."""
    async with afar() as far:
        done = await _command(far, "run", "--size", "1g.5gb", "--", "true")
        assert b"cannot see the processes here" in done.stderr
        assert done.returncode != 0
        assert not far.service.state.ended


async def test_jobs_of_a_batch_are_held_from_afar(tmp_path: Path) -> None:
    """Their parent lives as long as they do, and speaks for them."""
    file = tmp_path / "jobs"
    file.write_text("1g.5gb sh -c 'sleep 2; printenv CUDA_VISIBLE_DEVICES'\n" * 2)
    async with afar(silence=0.6) as far:
        done = await _command(far, "batch", str(file))
        assert done.stdout.count(b"MIG-") == 2, done


def test_the_environment_names_a_broker(tmp_path: Path) -> None:
    """By URL, with the token that JupyterHub gives to each server, or one in a file."""
    assert named({}) is None
    url = {"JUPYTER_MIG_URL": "https://node7.example:8123/"}
    found = named({**url, "JUPYTERHUB_API_TOKEN": "secret"})
    assert found == Remote("https://node7.example:8123", token="secret")
    assert found is not None
    assert "secret" not in repr(found)
    file = tmp_path / "token"
    file.write_text("first\n")
    found = named({**url, "JUPYTER_MIG_TOKEN_FILE": str(file), "JUPYTERHUB_API_TOKEN": "secret"})
    assert found is not None
    assert found.bearer() == "first"
    file.write_text("second\n")
    assert found.bearer() == "second"
    file.unlink()
    with pytest.raises(errors.MalformedSpec, match="JUPYTER_MIG_TOKEN_FILE"):
        found.bearer()


@pytest.mark.parametrize(
    "url", ["http://node7.example:8123", "ftp://localhost", "node7:8123", "https://", "/run/x"]
)
def test_no_token_goes_over_the_network_in_the_clear(url: str) -> None:
    """Nor to what is no address."""
    with pytest.raises(errors.MalformedSpec):
        named({"JUPYTER_MIG_URL": url})


@pytest.mark.parametrize(
    ("address", "hub", "tls"),
    [
        ("0.0.0.0:8123", "http://127.0.0.1:8081/hub/api", False),
        ("192.0.2.1:8123", "http://127.0.0.1:8081/hub/api", False),
        ("127.0.0.1:8123", "", False),
        ("127.0.0.1", "http://h/hub/api", False),
        ("localhost:8123", "http://h/hub/api", False),
        ("127.0.0.1:0", "http://h/hub/api", False),
        ("127.0.0.1:99999", "http://h/hub/api", False),
    ],
)
def test_a_door_that_would_not_be_safe_is_not_opened(address: str, hub: str, tls: bool) -> None:
    """Said when the configuration is read, before anything starts."""
    with pytest.raises(errors.MalformedSpec):
        listening.require_safe(address, hub, tls=tls)


def test_doors_that_are_safe() -> None:
    """None at all, loopback, or TLS."""
    listening.require_safe("", "", tls=False)
    listening.require_safe("127.0.0.1:8123", "http://h/hub/api", tls=False)
    listening.require_safe("[::1]:8123", "http://h/hub/api", tls=False)
    listening.require_safe("0.0.0.0:8123", "https://h/hub/api", tls=True)
