"""How much longer a kernel takes to be ready because it gets a slice.

Three kinds of start, interleaved so that they share the machine's moods:

* ``plain``: the stock LocalProvisioner;
* ``ready slice``: ours, on an instance that exists already (static inventory);
* ``made slice``: ours, on an instance made for the kernel (dynamic inventory).

Each is compared with the plain start beside it. Prints medians, the ratio *ready slice / plain*
(bar: 1.05) and *time added by a made slice / the driver's own create time* (bar: 1.1). The GPU is
simulated; the driver's create time is what the simulator takes, measured in the same run, with its
silicon in a file as the broker's has it. Only figures from an idle machine count.

    python benchmarks/kernel_start.py [--starts 30]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from jupyter_mig.core.geometry import Spec
from jupyter_mig.nvml.driver import open_driver

NODE = "1xA100-SXM4-40GB"
SIZE = "1g.5gb"
READY_BAR, MADE_BAR = 1.05, 1.1
DRIVER_CREATES = 11


def prepare(root: Path) -> None:
    """Kernelspecs for each kind of start, and a place for the dynamic broker."""
    folder = root / "specs"
    (root / "dynamic").mkdir(mode=0o700)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    stanza = {"provisioner_name": "mig-provisioner", "config": {"size": SIZE}}
    for name, metadata in {"plain": {}, "sliced": {"kernel_provisioner": stanza}}.items():
        (folder / name).mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "python", "metadata": metadata}
        (folder / name / "kernel.json").write_text(json.dumps(spec))


@asynccontextmanager
async def broker(place: Path, driver: str, inventory: str) -> AsyncIterator[Path]:
    """A broker of our own on its socket."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jupyter_mig.broker"),
        *("--place", str(place), "--driver", driver, "--inventory", inventory),
    )
    socket = place / "broker.sock"
    try:
        while not socket.exists():
            await asyncio.sleep(0.01)
            if process.returncode is not None:
                raise SystemExit(f"the broker ended: {place}/broker.log")
        yield socket
    finally:
        process.terminate()
        await process.wait()


async def start(folder: Path, name: str) -> float:
    """Seconds from start_kernel to an answer on the shell channel."""
    specs = KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)
    manager = AsyncKernelManager(kernel_name=name, kernel_spec_manager=specs)
    begun = time.perf_counter()
    await manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        return time.perf_counter() - begun
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


def cut_instances(state: Path, driver: str) -> None:
    """Make two instances for the static broker to hand out."""
    state.parent.mkdir(mode=0o700)
    port = open_driver(driver, state)
    gpu = port.gpus()[0]
    profile = gpu.geometry.by_name[SIZE]
    for at in profile.starts[:2]:
        port.create(Spec(gpu.uuid, profile.profile_id, at))
    port.close()


def driver_create_seconds(state: Path, driver: str) -> float:
    """The simulated driver's own time to make an instance."""
    state.parent.mkdir(mode=0o700)
    port = open_driver(driver, state)
    gpu = port.gpus()[0]
    profile = gpu.geometry.by_name[SIZE]
    spec = Spec(gpu.uuid, profile.profile_id, 0)
    times = []
    for _ in range(DRIVER_CREATES):
        begun = time.perf_counter()
        identity = port.create(spec)
        times.append(time.perf_counter() - begun)
        port.destroy(gpu.uuid, identity)
    port.close()
    return statistics.median(times)


async def measure(root: Path, driver: str, starts: int) -> dict[str, list[float]]:
    """Interleaved starts of all three kinds, the first of each thrown away."""
    times: dict[str, list[float]] = {"plain": [], "ready slice": [], "made slice": []}
    prepare(root)
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(cut_instances, root / "static" / "simulated.json", driver)
        sockets = {
            "ready slice": await stack.enter_async_context(
                broker(root / "static", driver, "static")
            ),
            "made slice": await stack.enter_async_context(
                broker(root / "dynamic", driver, "dynamic")
            ),
        }
        os.environ["JUPYTER_MIG_DRIVER"] = driver
        for _ in range(starts + 1):
            times["plain"].append(await start(root / "specs", "plain"))
            for kind, socket in sockets.items():
                os.environ["JUPYTER_MIG_SOCKET"] = str(socket)
                times[kind].append(await start(root / "specs", "sliced"))
    return {kind: measured[1:] for kind, measured in times.items()}


def report(times: dict[str, list[float]], create_seconds: float) -> bool:
    """Print the figures; whether both bars are met."""
    for kind, measured in times.items():
        spread = f"{min(measured):.3f} to {max(measured):.3f}"
        median = statistics.median(measured)
        print(f"{kind:12} {median:.3f} s median of {len(measured)} ({spread})")
    plain = times["plain"]
    ready = statistics.median([a / b for a, b in zip(times["ready slice"], plain, strict=True)])
    added = statistics.median([a - b for a, b in zip(times["made slice"], plain, strict=True)])
    made = added / create_seconds
    print(f"ready slice / plain: {ready:.3f} (bar {READY_BAR})")
    print(f"added by a made slice: {added:.3f} s, the driver takes {create_seconds:.3f} s")
    print(f"added / driver: {made:.3f} (bar {MADE_BAR})")
    return ready <= READY_BAR and made <= MADE_BAR


def main() -> int:
    """Measure and report; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=30)
    options = parser.parse_args()
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"SIMULATED {NODE}, {options.starts} starts of each kind, interleaved; load {load}")
    driver = f"simulated:{NODE}"
    with tempfile.TemporaryDirectory(prefix="mig-") as name:
        create_seconds = driver_create_seconds(Path(name) / "alone" / "simulated.json", driver)
        times = asyncio.run(measure(Path(name), driver, options.starts))
    return 0 if report(times, create_seconds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
