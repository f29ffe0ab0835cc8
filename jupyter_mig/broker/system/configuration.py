"""The configuration of a node's broker: ``MIGBroker`` in one JSON file that belongs to root.

JSON, not Python: what runs as root executes no configuration, and clients read the file, too.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from traitlets import Bool, Dict, Float, Int, List, TraitError, Unicode
from traitlets.config import Config, Configurable

from jupyter_mig import errors
from jupyter_mig.broker.hardware.inventory import Inventories, parse
from jupyter_mig.broker.policy import Policy, Rule
from jupyter_mig.broker.remote import listening as remote
from jupyter_mig.broker.remote.hub import MARK
from jupyter_mig.broker.remote.members import Members
from jupyter_mig.broker.settings import Settings
from jupyter_mig.broker.system import token_file
from jupyter_mig.core import sizes
from jupyter_mig.core.rules import Rules
from jupyter_mig.wire import meeting

SECTION = "MIGBroker"


class MIGBroker(Configurable):
    """A node's broker."""

    gpus = List(
        Unicode(),
        help="""
        The GPUs to cut into slices as they are wanted, by UUID (`nvidia-smi -L`). No other GPU is
        ever touched.
        """,
    ).tag(config=True)

    claimed_gpus_are_ours = List(
        Unicode(),
        help="""
        GPUs among `gpus` that are cut here although NVIDIA's mig-manager is enabled on this node:
        it has made its last instance when the broker starts. Slurm's and a kubelet's GPUs are
        never the broker's.
        """,
    ).tag(config=True)

    look_out_seconds = Float(
        Settings().look_out,
        min=0.0,
        help="""
        How often it is looked who else manages GPUs here by now; nothing new is started on those.
        0 is never but at the start.
        """,
    ).tag(config=True)

    static_gpus = List(
        Unicode(),
        help="GPUs whose slices are handed out as they are; none is made or destroyed there.",
    ).tag(config=True)

    whole_gpus = List(
        Unicode(),
        help="""
        GPUs without MIG that are handed out whole. With `isolation`, only while the driver's
        parameter `ModifyDeviceFiles` is 0, and not together with `cgroup_filter`.
        """,
    ).tag(config=True)

    driver = Unicode("nvml", help="nvml, or simulated: and a node, to try things out.").tag(
        config=True
    )

    socket = Unicode(
        meeting.SYSTEM_SOCKET,
        help="Where to listen. Its directory must be one in which only root or the user can write.",
    ).tag(config=True)

    user = Unicode(
        meeting.SYSTEM_USER,
        help="The user, without privileges, that the broker runs as. Clients trust no other.",
    ).tag(config=True)

    state_directory = Unicode(
        "/var/lib/jupyter-mig/broker", help="For the log of leases; on local disk, the user's."
    ).tag(config=True)

    helper_directory = Unicode(
        "/var/lib/jupyter-mig-helper",
        help="Where the privileged helper remembers what it has made; root's.",
    ).tag(config=True)

    isolation = Bool(
        default_value=True,
        help="""
        Whether the device nodes of a slice, or of a whole GPU, are closed to everybody but the user
        of its lease.
        Without it, CUDA_VISIBLE_DEVICES is a convention.
        """,
    ).tag(config=True)

    cgroup_filter = Unicode(
        help="""
        The directory of a cgroup (version 2), `/sys/fs/cgroup` for all: below it only the cgroup
        of a lease's kernel may open the nodes of its slice, of whatever user others are. For
        spawners that give each server a cgroup of its own. Empty: cgroups are not told apart.
        """
    ).tag(config=True)

    names = Dict(
        help="""Names for sizes: `{"small": "1g.10gb", "large": "40gb+"}`.""",
    ).tag(config=True)

    dcgm_exporter = Unicode(
        help="Where a dcgm-exporter on this node tells utilization: http://127.0.0.1:9400/metrics"
    ).tag(config=True)

    keep_warm_seconds = Float(
        0.0, help="How long an empty slice is kept for the same user before it is destroyed."
    ).tag(config=True)

    pools = Dict(
        value_trait=Int(min=0),
        help="""
        How many slices of a size are kept ready for whoever asks first: `{"1g.10gb": 2}`. They
        make way for other sizes.
        """,
    ).tag(config=True)

    keep_reading_seconds = Float(
        Settings().keep_reading,
        min=0.0,
        help="How often slices are read while they are held and nobody looks; 0 is never.",
    ).tag(config=True)

    history_days = Float(
        Settings().history_days,
        min=0.0,
        help="""
        How long the audit log and the intervals of slices are kept; 0 is for ever. What is older
        is removed when the broker starts, and once a day.
        """,
    ).tag(config=True)

    enable_mig_mode = Bool(
        default_value=False,
        help="""
        Whether the helper turns MIG mode on when it starts, on those of `gpus` on which it is off
        and nothing runs. For Hopper and newer, which lose it at boot. A GPU that would have to be
        reset is left alone.
        """,
    ).tag(config=True)

    policy = List(
        Dict(),
        help="""
        Who may have what; the first rule that means a user is his:
        `[{"who": ["@students"], "sizes": ["1g.10gb"], "slices": 1}, {"who": ["*"], "share": 1.0}]`.
        """,
    ).tag(config=True)

    admins = List(
        Unicode(),
        help="Who may look after the node beside root: names of users, or `@` and a Unix group.",
    ).tag(config=True)

    connections_per_user = Int(
        1024,
        min=1,
        help="""
        How many connections one user may have. Each request that waits is one. All numbers that
        `/etc/subuid` gives to a user count as one.
        """,
    ).tag(config=True)

    leases_per_user = Int(
        Settings().most_leases,
        min=1,
        help="""
        How many leases and requests one user may have; quotas of slices are a policy's. Numbers
        that are some user's to be in a user namespace get none.
        """,
    ).tag(config=True)

    longest_silence_seconds = Float(
        Settings().longest_silence,
        min=Settings().silence,
        help="""
        How long a lease whose holder the broker cannot see may be kept without a sign of life, for
        who asks for more than the usual minute: spawners of containers do, so that these outlive a
        Hub that is down. What a dead Hub leaves behind stays taken as long.
        """,
    ).tag(config=True)

    listen = Unicode(
        help="""
        Where to listen on TCP, too, for users of a JupyterHub in containers or on other machines:
        an address and a port, `127.0.0.1:8123`. Anything but loopback needs TLS. Empty: nowhere.
        """,
    ).tag(config=True)

    hosts = List(
        Unicode(),
        help="Names by which clients call the TCP door, beside its address. Others are refused.",
    ).tag(config=True)

    tls_certificate = Unicode(help="The certificate chain of the TCP door, a PEM file.").tag(
        config=True
    )

    tls_key = Unicode(help="Its private key, a PEM file that the user of the broker can read.").tag(
        config=True
    )

    hub_api_url = Unicode(
        help="The API of the JupyterHub that knows the users: `http://127.0.0.1:8081/hub/api`."
    ).tag(config=True)

    hub_service = Unicode(
        "jupyter-mig",
        help="""
        What the Hub calls this service. Tokens must have the scope to access it:
        `access:services!service=jupyter-mig`.
        """,
    ).tag(config=True)

    hub_token_file = Unicode(
        help="""
        A file with a token of the Hub, to ask it for the groups of users who come by the Unix
        socket (scopes `read:users:name` and `read:users:groups`); the user of the broker, and
        nobody else, can read it. Without it rules with `hub:@` mean only who comes by TCP.
        """,
    ).tag(config=True)

    hub_users_are_unix_users = Bool(
        default_value=True,
        help="""
        Whether a user of the Hub is the user of this node who has the same name. Without it each
        gets a number of its own, and shares no quota with a user of the node.
        """,
    ).tag(config=True)

    hub_user_prefix = Unicode(
        help="""
        What stands before a Hub user's name in that of his user of this node: `jupyter-` at The
        Littlest JupyterHub.
        """,
    ).tag(config=True)

    @property
    def listed(self) -> tuple[str, ...]:
        """All GPUs that are the broker's business."""
        return (*self.gpus, *self.static_gpus, *self.whole_gpus)

    @property
    def inventories(self) -> Inventories:
        """Which GPU goes which way."""
        ways = (("dynamic", self.gpus), ("static", self.static_gpus), ("full", self.whole_gpus))
        text = " ".join(f"{way}:{','.join(gpus)}" for way, gpus in ways if gpus)
        return parse(text, said_by="the node's configuration")

    @property
    def rules(self) -> Rules:
        """What the ledger goes by."""
        return Rules(warm=self.keep_warm_seconds, names=dict(self.names), pools=dict(self.pools))

    @property
    def settings(self) -> Settings:
        """The broker's own."""
        return Settings(
            dcgm_exporter=self.dcgm_exporter,
            look_out=self.look_out_seconds,
            keep_reading=self.keep_reading_seconds,
            history_days=self.history_days,
            most_leases=self.leases_per_user,
            longest_silence=self.longest_silence_seconds,
        )

    def who_may_what(self, members: Members | None = None) -> Policy:
        """The rules, for a node whose Hub has those ``members``. Raises ``ValueError`` for a rule
        that is wrong, and says what is.
        """
        rules = [_rule(number, each, self.names) for number, each in enumerate(self.policy, 1)]
        if any(rule.needs_hub for rule in rules) and not self.hub_api_url:
            raise ValueError(f"policy: only hub_api_url can say who {MARK}... is")
        if any(word.startswith(MARK) for word in self.admins):
            raise ValueError("admins: nobody is an administrator by the Hub")
        return Policy(rules, tuple(self.admins), members=members)


def read(file: Path) -> MIGBroker:
    """The configuration in a file. Raises MalformedSpec if it is not what it must be."""
    section = _section(file)
    unknown = section.keys() - MIGBroker.class_trait_names(config=True)
    if unknown:
        raise _malformed(file, f"{SECTION} has no {min(unknown)}")
    try:
        found = MIGBroker(config=Config({SECTION: section}))
        found.who_may_what()  # it raises if a rule is wrong
    except (TraitError, ValueError) as error:
        raise _malformed(file, str(error)) from error
    for size in found.pools:
        if not sizes.is_meant(size, found.names):
            raise _malformed(file, f"pools: {size} is no size")
    if not found.listed:
        raise _malformed(file, "it names no GPU")
    if found.whole_gpus and found.cgroup_filter:
        raise _malformed(
            file, "with cgroup_filter, whole_gpus must be empty: it does not tell their nodes apart"
        )
    if not set(found.claimed_gpus_are_ours) <= set(found.gpus):
        raise _malformed(file, "claimed_gpus_are_ours names a GPU that is not in gpus")
    if found.cgroup_filter and not found.isolation:
        raise _malformed(file, "cgroup_filter needs isolation")
    if found.hub_token_file:
        _require_secret(file, found)
    remote.require_safe(found.listen, found.hub_api_url, tls=bool(found.tls_certificate))
    return found


def _rule(number: int, given: dict[str, Any], names: Mapping[str, str]) -> Rule:
    try:
        rule = msgspec.convert(given, Rule)
    except msgspec.ValidationError as error:
        raise ValueError(f"rule {number} of policy: {error}") from error
    for size in rule.sizes:
        if not sizes.is_meant(size, names):
            raise ValueError(f"rule {number} of policy: {size} is no size")
    return rule


def _section(file: Path) -> dict[str, Any]:
    require_roots(file)
    try:
        whole = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _malformed(file, str(error)) from error
    if not isinstance(whole, dict) or set(whole) != {SECTION}:
        raise _malformed(file, f"it must hold {SECTION} and nothing else")
    section = whole[SECTION]
    if not isinstance(section, dict):
        raise _malformed(file, f"{SECTION} must hold settings")
    return section


def require_roots(file: Path) -> None:
    """Raise MalformedSpec if others than root, or than whoever runs this, could have written it."""
    try:
        found = file.stat()
    except OSError as error:
        raise _malformed(file, str(error.strerror)) from error
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _malformed(file, "others than its owner may write it")


def _require_secret(file: Path, found: MIGBroker) -> None:
    """Raise MalformedSpec if the token of the Hub is no secret, or of no Hub."""
    if not found.hub_api_url:
        raise _malformed(file, "hub_token_file needs hub_api_url")
    trouble = token_file.trouble(Path(found.hub_token_file), found.user)
    if trouble:
        raise _malformed(file, f"hub_token_file: {trouble}")


def _malformed(file: Path, problem: str) -> errors.MalformedSpec:
    return errors.MalformedSpec(
        "The broker's configuration cannot be used.",
        situation=f"{file}: {problem}.",
        next_step="The manual has an example: how-to, a broker for all users.",
    )
