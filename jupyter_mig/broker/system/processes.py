"""The two processes of a system broker.

Root's starts first, makes directories, and forks before anything else is opened: the child becomes
the user without privileges for good and is the broker; root's own becomes its helper. They share a
pair of sockets. When one ends, so does the other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import signal
import socket
import sys
from functools import partial
from pathlib import Path

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.callers.crowd import Crowd
from jupyter_mig.broker.claimants import search
from jupyter_mig.broker.claimants.claimant import Claimant
from jupyter_mig.broker.claimants.disputes import concerns_node
from jupyter_mig.broker.claimants.search import Claim
from jupyter_mig.broker.door.routes import Everybody
from jupyter_mig.broker.helper import line, mode, verbs
from jupyter_mig.broker.helper.driver import HelpedDriver
from jupyter_mig.broker.helper.hands import Hands
from jupyter_mig.broker.helper.helper import Helper
from jupyter_mig.broker.helper.register import Register
from jupyter_mig.broker.helper.whole import Keeper, WholeGpus
from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.premises import Premises
from jupyter_mig.broker.running import Broker
from jupyter_mig.broker.system import cgroups, directories, lines, remotely
from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.broker.system.keeper import keeper_of
from jupyter_mig.broker.system.service_manager import ServiceManager
from jupyter_mig.nvml.driver import open_driver
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.wire import meeting

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20
"""How long a broker may take to end."""


class SystemBroker(msgspec.Struct, frozen=True):
    """A node's broker, in the foreground. ``claimants`` are who else manages GPUs here,
    as root finds them: a kubelet's files are closed to others.
    """

    configuration: MIGBroker
    claimants: tuple[Claimant, ...] = ()

    def run(self) -> int:
        """Be it until told to end; the exit status. As root with a helper, else without."""
        lines.begin(os.environ)
        manager = ServiceManager.of(os.environ, os.getpid())
        if os.getuid() != 0:
            return self._be_broker(None, manager)
        return self._be_helper_of_a_broker(manager)

    def _be_helper_of_a_broker(self, manager: ServiceManager) -> int:
        user = _user(self.configuration.user)
        keeper = keeper_of(self.configuration, user)
        listens = not manager.listens_at(Path(self.configuration.socket))
        for each in directories.needed(self.configuration, user, listens=listens):
            each.make()
        ours, theirs = line.make()
        child = os.fork()
        if child == 0:
            theirs.close()
            _become(user)
            os._exit(self._be_broker(ours, manager))
        ours.close()
        manager.decline()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: _tell_to_end(child))
        try:
            self._help(theirs, user, keeper)
        finally:
            theirs.close()
            _expect_end(child)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            signal.alarm(0)
        return status if status >= 0 else 128 - status

    def _help(self, end: socket.socket, user: pwd.struct_passwd, keeper: Keeper | None) -> None:
        """Be the helper until the broker is gone."""
        # What a simulated node keeps on file is shared with the broker through its group.
        os.setegid(user.pw_gid)
        os.umask(0o007)
        own = self.configuration
        driver = self._open_driver()
        try:
            register = Register(Path(own.helper_directory) / directories.REGISTER)
            filter_ = cgroups.filter_of(own, driver)
            turned_on = self._to_be_turned_on(driver)
            helper = Helper(
                driver,
                own.listed,
                register,
                filter_,
                turned_on,
                claims=partial(self._claims_now, driver),
                whole=WholeGpus(driver, register, tuple(own.whole_gpus), keeper),
                isolates=own.isolation,
                broker=user.pw_uid,
            )
            line.serve(end, helper)
        finally:
            driver.close()

    def _be_broker(self, end: socket.socket | None, manager: ServiceManager) -> int:
        own = self.configuration
        os.umask(0o007)
        premises = Premises(Path(own.state_directory), Path(own.socket))
        try:
            premises.door, remote = manager.doors(premises.socket, own.listen)
            if not premises.enter():
                raise errors.BadPlace(
                    "Another broker is at work.", situation=f"It uses {own.state_directory}."
                )
            asyncio.run(self._serve(premises, end, manager, remote))
        except errors.JupyterMigError as error:
            log.error("The broker did not start: %s", error)  # noqa: TRY400 - the message says it all
            return 1
        finally:
            premises.leave()
            manager.close()
            sys.stderr.flush()
        return 0

    async def _serve(
        self,
        premises: Premises,
        end: socket.socket | None,
        manager: ServiceManager,
        remote: socket.socket | None,
    ) -> None:
        own = self.configuration
        if end is None:
            driver = self._open_driver()
            mode.turn_on(driver, self._to_be_turned_on(driver))
            look = partial(self._look, driver)
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        else:
            hands = Hands(end)
            # Once the helper is ready: it may have to lay out a simulated node.
            hands.ask(verbs.Describe(), verbs.Described)
            filters = bool(own.cgroup_filter)
            driver = HelpedDriver(
                self._open_driver(), hands, isolates=own.isolation, filters=filters
            )
            look = partial(self._ask, hands)
            over = asyncio.wrap_future(hands.gone)
        everybody = Everybody(Crowd(own.connections_per_user))
        members = remotely.members(own)
        broker = Broker(
            premises,
            driver,
            own.inventories,
            everybody,
            own.rules,
            own.settings,
            policy=own.who_may_what(members),
            remote=remotely.asked_for(own, everybody.crowd, members, remote),
            annals=Annals(premises.directory / meeting.ANNALS),
            supervisor=manager,
            claims=partial(search.claims, self.claimants, partial(concerns_node, own)),
            look_out=look,
        )
        log.info("The node's broker: socket=%s isolation=%s", own.socket, own.isolation)
        if premises.door is not None and own.listen and remote is None:
            log.info("Who comes by TCP is refused during restarts: ListenStream=%s", own.listen)
        await broker.serve(lambda *_: over)

    def _to_be_turned_on(self, driver: HardwarePort) -> tuple[str, ...]:
        """The GPUs on which MIG mode is to be on; none that others claim."""
        own = self.configuration
        claims = search.claims(self.claimants, partial(concerns_node, own), driver)
        claimed = {claim.gpu.uuid for claim in claims}
        return tuple(uuid for uuid in own.gpus if own.enable_mig_mode and uuid not in claimed)

    def _claims_now(self, driver: HardwarePort) -> list[Claim]:
        """Others' claims, as files tell by now."""
        own = self.configuration
        claimants = search.search(search.root_of(own.driver))
        return search.claims_now(claimants, partial(concerns_node, own), driver)

    def _look(self, driver: HardwarePort) -> dict[str, str]:
        """Who has which GPU, as the broker sees it itself."""
        return {each.gpu.uuid: each.who for each in self._claims_now(driver)}

    def _ask(self, hands: Hands) -> dict[str, str]:
        """Who has which GPU, as root sees it."""
        claimed = hands.ask(verbs.LookOut(), verbs.Claimed).gpus
        return {self.configuration.listed[place]: who for place, who in claimed}

    def _open_driver(self) -> HardwarePort:
        return open_driver(
            self.configuration.driver, Path(self.configuration.state_directory) / meeting.SILICON
        )


def _tell_to_end(broker: int) -> None:
    """Ask it to, and see that it does."""
    os.kill(broker, signal.SIGTERM)
    _expect_end(broker)


def _expect_end(broker: int) -> None:
    """Whoever is told to end, or has no helper any more, ends. If not it was taken over."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(broker, signal.SIGKILL))
    signal.alarm(PATIENCE_SECONDS)


def _user(name: str) -> pwd.struct_passwd:
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise errors.MalformedSpec(
            f"There is no user {name} for the broker.",
            next_step=f"useradd --system --no-create-home --shell /usr/sbin/nologin {name}",
        ) from None
    if user.pw_uid == 0:
        raise errors.MalformedSpec("The broker must not run as root: name another user.")
    return user


def _become(user: pwd.struct_passwd) -> None:
    """Be that user and nobody else from now on."""
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
