"""``jupyter mig kernels``: sized kernelspecs on disk, for programs without our server extension."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jupyter_mig.cli import completion, document, table
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.measures import counted
from jupyter_mig.cli.table import Column
from jupyter_mig.cli.terminal import Terminal, of
from jupyter_mig.client import Client
from jupyter_mig.errors import BadRequest, JupyterMigError
from jupyter_mig.kernels import installation
from jupyter_mig.kernels.installation import Installed

HELP = "kernelspecs by size for nbclient, papermill, consoles and other servers"

_COLUMNS = (
    Column("KERNELSPEC"),
    Column("SHOWN AS", least=12),
    Column("WHERE", least=12, tail=True),
)


def options(parser: argparse.ArgumentParser) -> None:
    """Its verbs and their arguments."""
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    writing = verbs.add_parser("install", help="write one kernelspec per kernel and size")
    sizes = writing.add_argument(
        "--sizes", nargs="+", action="extend", default=[], metavar="SIZE", help="default: the usual"
    )
    completion.offer(sizes, completion.sizes)
    writing.add_argument(
        "--kernel", nargs="+", action="extend", metavar="NAME", help="default: python3"
    )
    where = writing.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for you alone (the default)")
    where.add_argument("--sys-prefix", action="store_true", help="into this Python environment")
    where.add_argument("--prefix", type=Path, help="into the environment with that prefix")
    showing = verbs.add_parser("list", help="the kernelspecs that install wrote")
    removing = verbs.add_parser("remove", help="delete kernelspecs that install wrote")
    removing.add_argument(
        "names", nargs="*", metavar="NAME", help="kernelspecs, as list shows them"
    )
    removing.add_argument("--all", action="store_true", help="all that list shows")
    for verb, below in ((writing, install), (showing, list_installed), (removing, remove)):
        verb.add_argument("--json", action="store_true", help="print a JSON list")
        verb.set_defaults(below=below)


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb below it says."""
    return int(arguments.below(arguments))


def install(arguments: argparse.Namespace) -> int:
    """Write kernelspecs for sizes that the node has."""
    node = hold(Client.node)
    directory = _directory(arguments)
    with _writing(directory):
        written = installation.install(
            node,
            directory,
            base_kernels=arguments.kernel or ["python3"],
            sizes=[size for text in arguments.sizes for size in text.split(",") if size],
        )
    terminal = of(sys.stdout)
    if arguments.json:
        print(document.text(written))
        return Exit.DONE
    page = [
        *heading(terminal, simulated=node.simulated),
        *lines(written, terminal),
        f"Installed {counted(len(written), 'kernelspec')}.",
    ]
    if node.simulated:
        page.append(f"They start where JUPYTER_MIG_DRIVER is {node.driver}")
    print("\n".join(page))
    return Exit.DONE


def list_installed(arguments: argparse.Namespace) -> int:
    """Print what is installed, wherever Jupyter looks."""
    found = installation.installed()
    if arguments.json:
        print(document.text(found))
    elif found:
        print("\n".join(lines(found, of(sys.stdout))))
    else:
        print("No kernelspecs of ours are installed. JupyterLab needs none; for other programs:")
        print("jupyter mig kernels install")
    return Exit.DONE


def remove(arguments: argparse.Namespace) -> int:
    """Delete some or all; nothing if one of the names is not there."""
    chosen = choose(arguments.names, installation.installed(), everything=arguments.all)
    for spec in chosen:
        with _writing(spec.directory):
            installation.remove([spec])
    if arguments.json:
        print(document.text(chosen))
    else:
        print("\n".join([f"Removed {spec.directory}" for spec in chosen] or ["Nothing to remove."]))
    return Exit.DONE


def choose(
    names: Sequence[str], installed: Iterable[Installed], *, everything: bool
) -> list[Installed]:
    """The kernelspecs meant, in whichever directories; BadRequest if one is not there."""
    installed = list(installed)
    if bool(names) == everything:
        raise BadRequest(
            "Name the kernelspecs to remove, or say --all.",
            situation=_inventory(installed),
        )
    missing = set(names) - {spec.name for spec in installed}
    if missing:
        raise BadRequest(
            f"Not installed by us: {', '.join(sorted(missing))}.", situation=_inventory(installed)
        )
    return [spec for spec in installed if everything or spec.name in names]


def lines(found: Sequence[Installed], terminal: Terminal) -> list[str]:
    """The table."""
    rows = [[spec.name, spec.display_name, str(spec.directory.parent)] for spec in found]
    return table.lines(_COLUMNS, rows, terminal)


def _inventory(installed: Iterable[Installed]) -> str:
    names = dict.fromkeys(spec.name for spec in installed)
    return "Installed: " + (", ".join(names) or "none") + "."


def _directory(arguments: argparse.Namespace) -> Path:
    if arguments.prefix:
        return installation.prefix_dir(arguments.prefix)
    return installation.prefix_dir() if arguments.sys_prefix else installation.user_dir()


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """Say in our words that the file system would not have it."""
    try:
        yield
    except OSError as error:
        raise JupyterMigError(
            f"Cannot write {directory}: {error.strerror}.",
            next_step="Choose another place: --user, --sys-prefix or --prefix.",
        ) from error
