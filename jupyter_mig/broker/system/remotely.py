"""The TCP door that a configuration asks for, and the Hub that knows who comes by it."""

from __future__ import annotations

import socket
from pathlib import Path

from jupyter_mig.broker.callers.crowd import Crowd
from jupyter_mig.broker.callers.owners import NumberedUsers, UnixUsers
from jupyter_mig.broker.remote import listening
from jupyter_mig.broker.remote.audience import HubUsers
from jupyter_mig.broker.remote.hub import Hub
from jupyter_mig.broker.remote.listening import Listening
from jupyter_mig.broker.remote.members import Asking, Members
from jupyter_mig.broker.remote.strangers import Strangers
from jupyter_mig.broker.system import cgroups
from jupyter_mig.broker.system.configuration import MIGBroker

NUMBERS = "hub-users.json"
"""The numbers of users of the Hub that are no users of the node, in the state directory."""


def members(own: MIGBroker) -> Members:
    """Who of the node's owners is which user of the Hub. On the loop that will serve."""
    asking = None
    if own.hub_token_file:
        asking = Asking(Hub(own.hub_api_url, own.hub_service), Path(own.hub_token_file))
    numbers = Path(own.state_directory) / NUMBERS
    if own.hub_users_are_unix_users:
        return Members(UnixUsers(own.hub_user_prefix), asking)
    return Members(NumberedUsers(numbers), asking)


def asked_for(
    own: MIGBroker, crowd: Crowd, members: Members, door: socket.socket | None
) -> Listening | None:
    """Where to listen and for whom; None: nowhere. On the loop that will serve. ``door`` is what
    listens there already.
    """
    if not own.listen:
        return None
    host, port = listening.parse(own.listen)
    audience = HubUsers(
        Hub(own.hub_api_url, own.hub_service),
        members.owners,
        listening.names(host, own.hosts),
        crowd,
        members,
        Strangers(crowd),
        kept_out=cgroups.is_for_all(own),
    )
    secret = listening.tls(own.tls_certificate, own.tls_key) if own.tls_certificate else None
    return Listening(host, port, audience, secret, door)
