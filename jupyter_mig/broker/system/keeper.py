"""Who keeps GPUs that are handed out whole: the broker's user, and a group that is its alone."""

from __future__ import annotations

import grp
import pwd

from jupyter_mig import errors
from jupyter_mig.broker.helper.whole import Keeper
from jupyter_mig.broker.system.configuration import MIGBroker


def keeper_of(own: MIGBroker, user: pwd.struct_passwd) -> Keeper | None:
    """None where no GPU is to be closed. Raises MalformedSpec if others are in the broker's group:
    it may open every GPU that is handed out whole.
    """
    if not (own.isolation and own.whole_gpus):
        return None
    others = _others_in_group_of(user)
    if others:
        raise errors.MalformedSpec(
            "GPUs can be handed out whole only by a user whose group is its own.",
            situation=f"In the group of {user.pw_name} ({user.pw_gid}) are: {', '.join(others)}.",
            next_step=f"groupadd --system jupyter-mig; usermod -g jupyter-mig {user.pw_name}",
        )
    return Keeper(user.pw_uid, user.pw_gid)


def _others_in_group_of(user: pwd.struct_passwd) -> list[str]:
    """By name. Root may do everything without it."""
    try:
        named = set(grp.getgrgid(user.pw_gid).gr_mem)
    except KeyError:
        named = set()
    first = {each.pw_name for each in pwd.getpwall() if each.pw_gid == user.pw_gid and each.pw_uid}
    return sorted((named | first) - {user.pw_name})
