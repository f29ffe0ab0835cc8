"""``jupyter mig demo``: JupyterLab on a simulated node, with a notebook to start from."""

from __future__ import annotations

import argparse
import os
import threading
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.demo import broker, notebook, settings
from jupyter_mig.cli.demo.exporter import exporting
from jupyter_mig.cli.demo.lab import Lab
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.interrupts import until_interrupted
from jupyter_mig.cli.label import SIMULATED
from jupyter_mig.client import Client

HELP = "JupyterLab on a simulated node, no GPU needed"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--driver", help=f"the simulated node (default: {settings.DEFAULT_DRIVER})")
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("jupyter-mig-demo"),
        help="where the notebook lives, made if need be (default: ./jupyter-mig-demo)",
    )
    parser.add_argument("--port", type=int, help="JupyterLab's port (default: 8888, or the next)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument(
        "--my-settings", action="store_true", help="use your own Jupyter settings, not a fresh set"
    )
    parser.add_argument(
        "lab_arguments", nargs="*", metavar="-- ARGUMENT", help="handed on to jupyter lab"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C, or until JupyterLab is shut down; then leave nothing behind."""
    driver = settings.driver(arguments.driver, os.environ)
    settings.require_lab()
    with until_interrupted(), settings.private_directory() as private:
        told = settings.environment(
            os.environ, Path(private), driver, fresh=not arguments.my_settings
        )
        with exporting(told) as environ:
            try:
                # What is wrong with the node shows here, not in kernels.
                opened = notebook.lay_out(arguments.dir, hold(Client.node, environ))
                _serve(environ, opened, arguments)
            finally:
                broker.end(environ)
    return Exit.DONE


def _serve(environ: Mapping[str, str], opened: Path, arguments: argparse.Namespace) -> None:
    lab = Lab(environ, opened.parent, arguments.port, arguments.lab_arguments)
    try:
        address = lab.address(opened.name)
        _announce(Node=environ[settings.DRIVER], Notebook=opened, Log=lab.log, JupyterLab=address)
        if not arguments.no_browser:
            # A thread, because some browsers keep the caller until they are closed.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        lab.wait()
    except KeyboardInterrupt:
        print("\nStopping JupyterLab and its kernels ...", flush=True)
        raise
    finally:
        lab.stop()


def _announce(**facts: object) -> None:
    print(SIMULATED)
    for name, fact in facts.items():
        print(f"{name:<10} {fact}")
    print("Ctrl-C stops JupyterLab, its kernels and the broker.", flush=True)
