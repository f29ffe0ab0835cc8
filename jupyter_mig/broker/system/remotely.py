"""The TCP door that a configuration asks for."""

from __future__ import annotations

from pathlib import Path

from jupyter_mig.broker.crowd import Crowd
from jupyter_mig.broker.remote import listening
from jupyter_mig.broker.remote.audience import HubUsers
from jupyter_mig.broker.remote.hub import Hub
from jupyter_mig.broker.remote.listening import Listening
from jupyter_mig.broker.remote.owners import NumberedUsers, UnixUsers
from jupyter_mig.broker.system.configuration import MIGBroker

NUMBERS = "hub-users.json"
"""The numbers of users of the Hub that are no users of the node, in the state directory."""


def asked_for(own: MIGBroker, crowd: Crowd) -> Listening | None:
    """Where to listen and for whom; None: nowhere. On the loop that will
    serve.
    """
    if not own.listen:
        return None
    host, port = listening.parse(own.listen)
    numbers = Path(own.state_directory) / NUMBERS
    audience = HubUsers(
        Hub(own.hub_api_url, own.hub_service),
        UnixUsers() if own.hub_users_are_unix_users else NumberedUsers(numbers),
        listening.names(host, own.hosts),
        crowd,
    )
    secret = listening.tls(own.tls_certificate, own.tls_key) if own.tls_certificate else None
    return Listening(host, port, audience, secret)
