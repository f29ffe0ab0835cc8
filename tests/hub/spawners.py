"""Spawners of JupyterHub as the Hub itself makes them: for a user in its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from traitlets.config import Config


@contextmanager
def user_of(spawner_class: type[Any], name: str, **traits: object) -> Iterator[User]:
    """A user of the Hub whose servers are started by such a spawner, with these traits set in
    ``jupyterhub_config.py``.
    """
    factory = orm.new_session_factory("sqlite:///:memory:")
    session = factory()
    try:
        found = orm.User(name=name)
        session.add(found)
        session.commit()
        settings = {
            "spawner_class": spawner_class,
            "config": Config({spawner_class.__name__: traits}),
            "hub": Hub(ip="127.0.0.1", port=8081, base_url="/hub/"),
        }
        yield User(found, settings)
    finally:
        session.close()
        session.get_bind().dispose()
