"""How many of 32 kernels started at once come up, and how long that takes.

The stock provisioner and ours take turns in one run, ours on slices of a simulated node. A kernel
counts as up once it has answered on its shell channel and its heart beats; as lost if it has not
after ``--patience`` seconds or its process has ended. With ``--crowded`` another process is given
ports all the time, as on a busy machine.

    python benchmarks/bursts.py [--kernels 32] [--bursts 5] [--crowded]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.multikernelmanager import AsyncMultiKernelManager

from jupyter_mig.client import Client, Settings

DRIVER = "simulated:5xA100-SXM4-40GB"
STANZAS = {
    "stock": {},
    "ours": {"provisioner_name": "mig-provisioner", "config": {"size": "1g.5gb"}},
}


GRAB = """
import socket
mine = []
while True:
    mine.append(socket.socket())
    mine[-1].bind(("127.0.0.1", 0))
    if len(mine) > 500:
        mine.pop(0).close()
"""


@contextmanager
def grabbing_ports() -> Iterator[None]:
    """A process that is given hundreds of ports, always others."""
    process = subprocess.Popen(["nice", sys.executable, "-c", GRAB])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def write_specs(folder: Path) -> None:
    """A kernelspec for each kind of start."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    for name, stanza in STANZAS.items():
        (folder / name).mkdir(parents=True)
        metadata = {"kernel_provisioner": stanza} if stanza else {}
        spec = {"argv": argv, "display_name": name, "language": "python", "metadata": metadata}
        (folder / name / "kernel.json").write_text(json.dumps(spec))


async def comes_up(kernel: Any, patience_seconds: float) -> bool:
    """Whether the kernel answers and its heart beats; prints why not."""
    client = kernel.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=patience_seconds)
        beats = await beating(client.hb_channel)
    except RuntimeError as error:
        print(f"  lost: {error}")
        return False
    finally:
        client.stop_channels()
    if not beats:
        print("  lost: no heartbeat")
    return beats


async def beating(heart: Any) -> bool:
    """Whether it beats; the first beat is due after a second."""
    for _ in range(100):
        if heart.is_beating():
            return True
        await asyncio.sleep(0.1)
    return False


async def burst(folder: Path, name: str, kernels: int, patience_seconds: float) -> list[float]:
    """Start so many at once; for those that came up, after how many seconds."""
    specs = KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)
    manager = AsyncMultiKernelManager(kernel_spec_manager=specs, connection_dir=str(folder.parent))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begun = time.perf_counter()

    async def one() -> float | None:
        kernel_id = await manager.start_kernel(kernel_name=name, **quiet)
        came = await comes_up(manager.get_kernel(kernel_id), patience_seconds)
        return time.perf_counter() - begun if came else None

    times = await asyncio.gather(*(one() for _ in range(kernels)))
    await manager.shutdown_all(now=True)
    return [seconds for seconds in times if seconds is not None]


async def measure(options: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Alternating bursts; each as the times of those that came up."""
    results: dict[str, list[list[float]]] = {name: [] for name in STANZAS}
    with tempfile.TemporaryDirectory(prefix="mig-") as root:
        os.environ.update({"JUPYTER_MIG_DRIVER": DRIVER, "XDG_RUNTIME_DIR": root})
        write_specs(Path(root, "specs"))
        client = Client(Settings.from_environment(os.environ))
        await client.broker()  # so that the first burst need not start it
        try:
            for number in range(1, options.bursts + 1):
                for name, bursts in results.items():
                    times = await burst(
                        Path(root, "specs"), name, options.kernels, options.patience
                    )
                    bursts.append(times)
                    last = f"{max(times):.1f} s" if times else "-"
                    print(f"{number} {name:5} {len(times)} of {options.kernels} up, last {last}")
        finally:
            os.kill((await client.broker()).pid, signal.SIGTERM)
    return results


def report(results: dict[str, list[list[float]]], kernels: int) -> bool:
    """Print the sums; whether all of ours came up."""
    for name, bursts in results.items():
        lost = sum(kernels - len(times) for times in bursts)
        whole = [max(times) for times in bursts if len(times) == kernels]
        median = f"{statistics.median(whole):.1f} s" if whole else "-"
        print(f"{name:5} lost {lost} of {kernels * len(bursts)}; whole bursts: {median} (median)")
    return all(len(times) == kernels for times in results["ours"])


def main() -> int:
    """Measure and report; exit code 1 if one of ours was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", type=int, default=32)
    parser.add_argument("--bursts", type=int, default=5)
    parser.add_argument("--crowded", action="store_true")
    parser.add_argument("--patience", type=float, default=90, help="seconds")
    options = parser.parse_args()
    print(f"{options.bursts} bursts of {options.kernels}; ours on SIMULATED {DRIVER[10:]}")
    with grabbing_ports() if options.crowded else nullcontext():
        results = asyncio.run(measure(options))
    return 0 if report(results, options.kernels) else 1


if __name__ == "__main__":
    raise SystemExit(main())
