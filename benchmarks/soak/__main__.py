"""A thousand starts with everything going wrong: nothing may leak, nothing be granted twice.

Several processes start kernels on slices of one simulated node and end them by release, by
SIGKILL of the kernel, by SIGKILL of themselves, by taking the request back. Meanwhile the broker is
killed again and again, and the driver fails by script. At the end everybody is killed: no lease and
no instance may be left.

    python -m benchmarks.soak [--starts 1000] [--workers 6] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from jupyter_mig.client import Client, Settings
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.nvml import simulated

DRIVER = "simulated:2xA100-SXM4-40GB?time_scale=0"
QUIET_SECONDS = 120.0
"""How long everything may take to be free again at the end: a lease whose kernel died may be kept
for 30 s while its server lives, a slice that will not empty is retried more and more slowly."""


class Soak:
    """The workers, the troublemaker, and the count."""

    def __init__(self, root: Path, starts: int, workers: int, seed: int) -> None:
        self.root, self.starts, self.workers = root, starts, workers
        self.dice = random.Random(seed)
        self.said: Counter[str] = Counter()
        self.doubles: list[str] = []
        self.killed = 0
        self.client = Client(Settings.from_environment(os.environ))
        self.running: set[asyncio.subprocess.Process] = set()

    async def run(self) -> None:
        """Until enough kernels have been started."""
        await self.client.node()
        crew = [asyncio.create_task(self._keep_working()) for _ in range(self.workers)]
        trouble = asyncio.create_task(self._make_trouble())
        while self.said["started"] < self.starts:
            await asyncio.sleep(0.1)
        for task in (*crew, trouble):
            task.cancel()
        await asyncio.gather(*crew, trouble, return_exceptions=True)
        for process in list(self.running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its kernels too
            await process.wait()

    async def _keep_working(self) -> None:
        """One worker, replaced whenever it has killed itself."""
        (self.root / "locks").mkdir(exist_ok=True)
        while True:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.soak.worker"),
                *(str(self.root / "locks"), str(self.dice.randrange(1 << 30))),
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            self.running.add(process)
            assert process.stdout is not None
            async for line in process.stdout:
                self._hear(line.decode().strip())
            await process.wait()
            self.running.discard(process)

    def _hear(self, line: str) -> None:
        word, _, detail = line.partition(" ")
        self.said[word] += 1
        if word == "double":
            self.doubles.append(detail)

    async def _make_trouble(self) -> None:
        while True:
            await asyncio.sleep(self.dice.uniform(0.2, 1.5))
            if self.dice.random() < 0.5:
                await self._kill_broker()
            else:
                self._fail_driver()

    async def _kill_broker(self) -> None:
        try:
            os.kill((await self.client.broker()).pid, signal.SIGKILL)
            self.killed += 1
        except (JupyterMigError, ProcessLookupError):
            return

    def _fail_driver(self) -> None:
        gpu = self.dice.randrange(2)
        fault = self.dice.choice(
            (
                simulated.in_use(times=self.dice.randrange(1, 4), gpu=gpu),
                simulated.no_room(times=2, gpu=gpu),
                simulated.slow("nvmlDeviceCreateGpuInstance*", 0.2, gpu=gpu),
            )
        )
        with simulated.attached(self.state) as node:
            node.inject(fault)

    @property
    def state(self) -> Path:
        """The file that is the silicon."""
        return self.client.socket.parent / "simulated.json"

    async def leftovers(self) -> tuple[int, int]:
        """Leases and instances still there once all is quiet, or when patience is over."""
        with simulated.attached(self.state) as node:
            node.clear_faults()
        give_up_at = time.monotonic() + QUIET_SECONDS
        while True:
            leases = len(await self.client.leases())
            with simulated.attached(self.state) as node:
                instances = sum(len(gpu.instances) for gpu in node.gpus)
            if not leases + instances or time.monotonic() > give_up_at:
                return leases, instances
            await asyncio.sleep(0.2)


async def soak(root: Path, options: argparse.Namespace) -> bool:
    """Run, report; whether nothing leaked and nothing was granted twice."""
    trial = Soak(root, options.starts, options.workers, options.seed)
    begun = time.monotonic()
    await trial.run()
    ran = time.monotonic() - begun
    leases, instances = await trial.leftovers()
    quiet = time.monotonic() - begun - ran
    print(f"{trial.said['started']} starts and {trial.said['refused']} refusals in {ran:.0f} s")
    print(f"broker killed {trial.killed} times")
    print(f"all quiet after {quiet:.0f} s: {leases} leases, {instances} instances left (bar 0, 0)")
    print(f"double grants: {len(trial.doubles)} (bar 0)")
    return not (leases or instances or trial.doubles)


def main() -> int:
    """Exit code 1 if anything leaked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--starts", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mig-") as directory:
        os.environ.update(XDG_RUNTIME_DIR=directory, JUPYTER_MIG_DRIVER=DRIVER)
        print(f"SIMULATED {DRIVER}, seed {options.seed}")
        return 0 if asyncio.run(soak(Path(directory), options)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
