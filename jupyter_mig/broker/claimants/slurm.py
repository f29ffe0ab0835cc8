"""GPUs that Slurm gives to jobs on this node: the generic resources of slurm.conf and gres.conf.

A line of gres.conf with device files has the GPUs of these. Where Slurm finds them by itself
(``AutoDetect``), or slurm.conf gives the node GPUs and no line says which, it has all.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

import msgspec

from jupyter_mig.broker.claimants import daemons, hostlist
from jupyter_mig.broker.claimants.claimant import Claimant
from jupyter_mig.broker.claimants.daemons import Daemon
from jupyter_mig.broker.claimants.files import Unreadable, below
from jupyter_mig.broker.claimants.nodes import gpu_of
from jupyter_mig.broker.claimants.slurm_lines import Line, Lines

NAME = "Slurm"
REMEDY = "Take them out of gres.conf and slurm.conf, and have slurmd read these anew."

PLACES = (
    "/etc/slurm",
    "/etc/slurm-llnl",
    "/usr/local/etc",
    "/opt/slurm/etc",
    "/run/slurm/conf",
    "/var/spool/slurmd/conf-cache",
)
"""Where slurm.conf and gres.conf are if nobody says otherwise; the last two where slurmd keeps
what the controller sent it.
"""

_GRES_OF_GPUS = frozenset({"gpu", "mps", "shard"})
_DETECTING = frozenset({"nvml", "nvidia"})


class Cluster(msgspec.Struct, frozen=True):
    """What slurm.conf and gres.conf of one place say, or the ``trouble`` with them. ``membership``
    is None where no node of theirs is this one; if they name nodes at all it is none of the
    cluster's then.
    """

    gres: tuple[Line, ...] = ()
    membership: Membership | None = None
    names_nodes: bool = False
    trouble: str = ""

    @property
    def is_without_us(self) -> bool:
        """Whether this node is a stranger to it: one from which jobs are sent, say."""
        return self.names_nodes and self.membership is None

    @property
    def tells_of_us(self) -> bool:
        """Whether it has been heard what Slurm has here."""
        return self.membership is not None or bool(self.trouble)


class Membership(msgspec.Struct, frozen=True):
    """What slurm.conf says of this node: the ``names`` it has there, and the line that gives it
    GPUs, if one does.
    """

    names: frozenset[str]
    gives_gpus: Line | None = None


def claimants(root: Path, hostname: str = "") -> Iterator[Claimant]:
    """What Slurm has, from each place where it is configured."""
    at_work = daemons.find(root, "slurmd")
    names = _called(hostname or socket.gethostname(), at_work)
    clusters = [*_clusters(root, names, at_work)]
    for cluster in clusters:
        if at_work or not cluster.is_without_us:
            yield from _judged(cluster, names, root)
    if at_work and not any(cluster.tells_of_us for cluster in clusters):
        yield _all_of_them(f"slurmd runs (pid {at_work[0].pid}), and no slurm.conf names this node")


def _judged(cluster: Cluster, names: frozenset[str], root: Path) -> list[Claimant]:
    try:
        return [*_claims(cluster, names, root)]
    except ValueError as error:
        return [_all_of_them(f"{cluster.gres[0].source.partition(' line ')[0]}: {error}")]


def _clusters(root: Path, names: frozenset[str], at_work: Iterable[Daemon]) -> Iterator[Cluster]:
    for slurm_conf in _configurations(root, at_work):
        try:
            yield _cluster(slurm_conf, root, names)
        except (Unreadable, ValueError) as error:  # noqa: PERF203 - a few places
            yield Cluster(trouble=f"{slurm_conf}: {error}")


def _cluster(slurm_conf: Path, root: Path, names: frozenset[str]) -> Cluster:
    lines = Lines(root)
    general = [*lines.of(slurm_conf)]
    gres = (*lines.of(slurm_conf.with_name("gres.conf")),)
    named = any("nodename" in line.values for line in general)
    return Cluster(gres, _membership(general, names), names_nodes=named)


def _all_of_them(source: str) -> Claimant:
    return Claimant(NAME, source, REMEDY, everything=True)


def _called(hostname: str, at_work: Iterable[Daemon]) -> frozenset[str]:
    """The names by which slurm.conf may know this machine."""
    given = [name for daemon in at_work for name in daemon.options("-N")]
    return frozenset({hostname, hostname.partition(".")[0], "localhost", *given})


def _configurations(root: Path, at_work: Iterable[Daemon]) -> list[Path]:
    """All that may be in use, each once."""
    named = [
        file
        for daemon in at_work
        for file in (*daemon.options("-f"), daemon.environ.get("SLURM_CONF", ""))
        if file
    ]
    usual = [f"{place}/slurm.conf" for place in PLACES]
    files = [below(root, file) for file in (*named, *usual)]
    return [*dict.fromkeys(files)]


def _claims(cluster: Cluster, names: frozenset[str], root: Path) -> Iterator[Claimant]:
    if cluster.trouble:
        yield _all_of_them(cluster.trouble)
    member = cluster.membership
    called = names if member is None else names | member.names
    ours = [line for line in cluster.gres if _is_about(line, called)]
    with_files = [*_with_files(ours, root)]
    yield from with_files
    detecting = _detecting(ours)
    if member is not None and member.gives_gpus is None:
        return  # Slurm counts none here, whatever it would find
    if detecting is not None:
        yield _all_of_them(f"{detecting.source} (AutoDetect={detecting.values['autodetect']})")
    elif member is not None and member.gives_gpus is not None and not with_files:
        yield _all_of_them(f"{member.gives_gpus.source} (Gres={member.gives_gpus.values['gres']})")


def _membership(general: Iterable[Line], names: frozenset[str]) -> Membership | None:
    """This node's; None if it is none of the cluster's."""
    default: Line | None = None
    here: set[str] = set()
    giving: Line | None = None
    for line in general:
        called = line.values.get("nodename", "")
        if called.upper() == "DEFAULT":
            default = line if "gres" in line.values else default
            continue
        ours = _ours(line.values, names) if called else frozenset()
        if ours:
            here |= ours
            said = line if "gres" in line.values else default
            giving = giving or (said if said is not None and _gives_gpus(said) else None)
    return Membership(frozenset(here), giving) if here else None


def _ours(values: Mapping[str, str], names: frozenset[str]) -> frozenset[str]:
    """Those of a line's nodes that are this one: known by their names, or by their hosts'."""
    nodes = hostlist.expand(values["nodename"])
    hosts = hostlist.expand(values.get("nodehostname", "")) or nodes
    return frozenset(
        node for node, host in zip_longest(nodes, hosts) if node and names & {node, host}
    )


def _gives_gpus(line: Line) -> bool:
    given = [each.split(":") for each in line.values["gres"].lower().split(",")]
    return any(name in _GRES_OF_GPUS and rest[-1:] != ["0"] for name, *rest in given)


def _is_about(line: Line, names: frozenset[str]) -> bool:
    nodes = line.values.get("nodename")
    return nodes is None or not names.isdisjoint(hostlist.expand(nodes))


def _detecting(lines: Iterable[Line]) -> Line | None:
    """The line that has Slurm look for NVIDIA's GPUs; a node's own wins over one for all."""
    chosen: Line | None = None
    for line in lines:
        own = "nodename" in line.values
        if "autodetect" in line.values and (
            own or chosen is None or "nodename" not in chosen.values
        ):
            chosen = line
    if chosen is None or chosen.values["autodetect"].lower() not in _DETECTING:
        return None
    return chosen


def _with_files(lines: Iterable[Line], root: Path) -> Iterator[Claimant]:
    for line in lines:
        files = [
            below(root, file)
            for key in ("file", "files", "multiplefiles")
            for file in hostlist.expand(line.values.get(key, ""))
        ]
        found = {gpu for file in files for gpu in gpu_of(file)}
        if found:
            yield Claimant(NAME, line.source, REMEDY, minors=frozenset(found))
