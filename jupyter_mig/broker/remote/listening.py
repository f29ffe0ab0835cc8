"""Where the TCP door is, and whom it lets in."""

from __future__ import annotations

import ipaddress
import socket
import ssl

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.remote.audience import HubUsers

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Listening(msgspec.Struct, frozen=True):
    """An address, TLS unless it is loopback, and the audience. ``door`` is what listens there
    already, for whoever made it.
    """

    host: str
    port: int
    audience: HubUsers
    tls: ssl.SSLContext | None = None
    door: socket.socket | None = None


def parse(address: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:8123`` or ``[::1]:8123``; raises MalformedSpec."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 2**16:
        raise errors.MalformedSpec(
            "MIGBroker.listen must be an IP address and a port, such as 127.0.0.1:8123.",
            situation=f"It is {address}.",
        )
    return host, number


def require_safe(address: str, hub_api_url: str, *, tls: bool) -> None:
    """Raise MalformedSpec if a door at ``address`` would be open to eavesdroppers or to nobody."""
    if not address:
        return
    host, _ = parse(address)
    if not (tls or is_loopback(host)):
        raise errors.MalformedSpec(
            "The broker shows tokens to the network without TLS.",
            situation=f"MIGBroker.listen is {address}.",
            next_step="Set tls_certificate and tls_key, or listen on 127.0.0.1.",
        )
    if not hub_api_url.startswith(("http://", "https://")):
        raise errors.MalformedSpec(
            "Who comes by TCP cannot be known without a JupyterHub.",
            next_step="Set MIGBroker.hub_api_url: http://127.0.0.1:8081/hub/api.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    return ipaddress.ip_address(host).is_loopback


def names(host: str, more: list[str]) -> frozenset[str]:
    """What the door may be called."""
    own = _LOOPBACK_NAMES if is_loopback(host) else (host,)
    return frozenset(name.lower() for name in (*own, *more))


def tls(certificate: str, key: str) -> ssl.SSLContext:
    """What the door shows to prove that it is itself; raises MalformedSpec if it cannot be read."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise errors.MalformedSpec(
            "The broker cannot use its TLS certificate.",
            situation=f"{certificate}, {key}: {error}".replace("'", ""),
            next_step="Both must be PEM files that the user of the broker may read.",
        ) from error
    return context
