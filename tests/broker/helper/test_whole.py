"""Whose the node of a whole GPU is, on character devices of ours with real users."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.helper import verbs
from jupyter_mig.broker.helper.descriptors import open_devices
from jupyter_mig.broker.helper.helper import Helper
from jupyter_mig.broker.helper.register import Register
from jupyter_mig.broker.helper.whole import Keeper, WholeGpus
from jupyter_mig.core.geometry import NO_GPU_INSTANCE
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.access import AccessNodes
from jupyter_mig.nvml.driver import Driver
from jupyter_mig.nvml.simulated import Node
from tests.broker.opening import CLOSED, opening

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes device nodes")

NODE = "1xA100-SXM4-40GB?time_scale=0"
ALICE, BOB, KEEPER = 64221, 64222, 64229
BROKER = Keeper(KEEPER, KEEPER)
OPENS = os.makedev(1, 7)
"""A device that opens for real and that nobody has open: /dev/full."""
MAPS = os.makedev(1, 5)
"""One that can be mapped: /dev/zero."""

_HOLD = """
import os, sys
node = os.open(sys.argv[1], int(sys.argv[2]))
print("open", flush=True)
sys.stdin.read()
"""

_HOLD_IN_A_THREAD = """
import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def hide():
    assert libc.unshare(0x400) == 0  # CLONE_FILES
    os.open(sys.argv[1], os.O_RDWR)
    print("open", flush=True)
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=hide).start()
if sys.argv[2] == "ends":
    libc.syscall(60, 0)  # exit(2): of the first thread alone
"""

_MAP = """
import mmap, os, sys
node = os.open(sys.argv[1], os.O_RDWR)
kept = mmap.mmap(node, 4096, flags=mmap.MAP_PRIVATE)
os.close(node)
print("open", flush=True)
sys.stdin.read()
"""


class Bench:
    """A GPU without MIG, its node, the driver's parameters, and what root remembers."""

    def __init__(self, directory: Path, silicon: Node, options: str = "&mig=off") -> None:
        self.directory = directory
        self.silicon = silicon
        self.access = AccessNodes.under(directory / "tree")
        self.driver = Driver(f"simulated:{NODE}{options}", simulated=True, access=self.access)
        (self.gpu,) = self.driver.gpus()
        self.node = self.access.gpus / f"nvidia{self.gpu.minor}"
        self.parameters = self.access.proc.parent / "params"
        self.parameters.parent.mkdir(parents=True, exist_ok=True)
        self.say(0)
        self.make(OPENS)

    def say(self, modifies: object) -> None:
        """Have the driver's parameter be that."""
        self.parameters.write_text(
            f"ResmanDebugLevel: 4294967295\nModifyDeviceFiles: {modifies}\nDeviceFileUID: 0\n"
            "DeviceFileGID: 12\nDeviceFileMode: 432\nInitializeSystemMemoryAllocations: 1\n"
        )

    def make(self, device: int, mode: int = 0o666) -> None:
        """The node as the driver's own tool makes it."""
        self.node.unlink()
        os.mknod(self.node, stat.S_IFCHR | mode, device)
        self.node.chmod(mode)

    def register(self) -> Register:
        """As it is on file."""
        return Register(self.directory / "made.json")

    def whole(self, keeper: Keeper | None = BROKER) -> WholeGpus:
        """The GPU handed out whole, by a helper that has just started."""
        found = WholeGpus(self.driver, self.register(), (self.gpu.uuid,), keeper)
        found.begin()
        return found

    def helper(self) -> Helper:
        """A whole helper."""
        return Helper(self.driver, (self.gpu.uuid,), self.register(), whole=self.whole())

    @property
    def state(self) -> tuple[int, int, int]:
        """Owner, group, and mode."""
        now = self.node.stat()
        return now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)


RESTING = (0, KEEPER, 0o660)
ALICES = (ALICE, KEEPER, 0o660)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One. Pytest's own directories are closed to other users; this one is reached by its path."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    with simulated.installed(f"{NODE}&mig=off&root={tmp_path / 'tree'}") as silicon:
        made = Bench(tmp_path, silicon)
        yield made
        made.driver.close()


@contextmanager
def somebody(uid: int, program: str, *arguments: str) -> Iterator[int]:
    """A process of that user's that has the node, while the block lasts."""
    who: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": [], "cwd": "/"}
    pipe = subprocess.PIPE
    command = ["/usr/bin/python3", "-c", program, *arguments]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, **who) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield process.pid
        process.communicate(timeout=60)


def test_only_its_user_and_the_broker_open_it(bench: Bench) -> None:
    """CUDA opens it to read and write; the next user's is not the last one's."""
    gpus = bench.whole()
    for mine, other in ((ALICE, BOB), (BOB, ALICE)):
        gpus.give(bench.gpu.uuid, mine)
        assert bench.state == (mine, KEEPER, 0o660)
        assert [opening(bench.node, uid) for uid in (mine, KEEPER, other)] == ["", "", CLOSED]
    assert bench.node.stat().st_rdev == OPENS


def test_between_leases_it_is_nobodys(bench: Bench) -> None:
    """From the start on, and after each."""
    gpus = bench.whole()
    assert bench.state == RESTING
    gpus.give(bench.gpu.uuid, ALICE)
    gpus.take_back(bench.gpu.uuid)
    assert bench.state == RESTING
    assert [opening(bench.node, uid) for uid in (ALICE, BOB)] == [CLOSED, CLOSED]


@pytest.mark.parametrize("modifies", [1, "", None])
def test_what_would_not_stay_closed_is_not_given(bench: Bench, modifies: object) -> None:
    """nvidia-modprobe would open it again. The error says what to do; a driver that does not tell
    is not trusted either.
    """
    bench.parameters.unlink() if modifies is None else bench.say(modifies)
    gpus = bench.whole()
    given = partial(gpus.give, uid=ALICE)
    for do in (given, gpus.secure):
        with pytest.raises(errors.NoPermission) as refused:
            do(bench.gpu.uuid)
        assert "NVreg_ModifyDeviceFiles=0" in refused.value.next_step
        assert "udev" in refused.value.next_step
        assert "ModifyDeviceFiles" in refused.value.situation
    assert bench.state == (0, 0, 0o666), "what is not closed does not look so"


def test_the_parameter_is_read_before_each_grant(bench: Bench) -> None:
    """The driver can be loaded anew while we are at work."""
    gpus = bench.whole()
    gpus.give(bench.gpu.uuid, ALICE)
    bench.say(1)
    with pytest.raises(errors.NoPermission):
        gpus.give(bench.gpu.uuid, BOB)
    with pytest.raises(errors.NoPermission):
        gpus.take_back(bench.gpu.uuid)
    assert bench.state == RESTING, "closed as well as can be"


_WAYS = {
    "open": (_HOLD, str(os.O_RDWR)),
    "reading": (_HOLD, str(os.O_RDONLY)),
    "in a thread's own table": (_HOLD_IN_A_THREAD, "stays"),
    "in a process without head": (_HOLD_IN_A_THREAD, "ends"),
    "mapped": (_MAP, ""),
}


@pytest.mark.parametrize(
    ("uid", "way"),
    [
        *((BOB, way) for way in _WAYS),
        *((uid, way) for uid in (ALICE, 0, KEEPER) for way in ("open", "mapped")),
    ],
)
def test_who_has_it_from_before_keeps_it_from_others(bench: Bench, uid: int, way: str) -> None:
    """However it is held, and be it the next user; but root's monitors, and the broker, have every
    GPU open.
    """
    program, argument = _WAYS[way]
    bench.make(MAPS if program is _MAP else OPENS)
    with somebody(uid, program, str(bench.node), argument) as pid:
        gpus = bench.whole()
        if uid in (0, KEEPER):
            gpus.give(bench.gpu.uuid, ALICE)
            assert bench.state == ALICES
            return
        with pytest.raises(errors.InUse) as refused:
            gpus.give(bench.gpu.uuid, ALICE)
        assert str(pid) in refused.value.situation
        assert bench.state == RESTING
    gpus.give(bench.gpu.uuid, ALICE)


def test_who_computes_there_keeps_it_from_others(bench: Bench) -> None:
    """NVML knows those whose way of having it open is not seen."""
    gpus = bench.whole()
    with bench.silicon.cuda_client(bench.gpu.uuid), pytest.raises(errors.InUse):
        gpus.give(bench.gpu.uuid, ALICE)


def test_a_mere_path_keeps_it_from_nobody(bench: Bench) -> None:
    """Any user may have one of any node."""
    with somebody(BOB, _HOLD, str(bench.node), str(os.O_PATH)):
        bench.whole().give(bench.gpu.uuid, ALICE)
    assert bench.state == ALICES


def test_who_has_it_open_between_leases_is_told_of(bench: Bench) -> None:
    """Then it is handed to nobody. While it is somebody's, who is on it is the patrol's to see."""
    with somebody(BOB, _HOLD, str(bench.node), str(os.O_RDWR)) as pid:
        gpus = bench.whole()
        with pytest.raises(errors.InUse, match="should not") as told:
            gpus.secure(bench.gpu.uuid)
        assert str(pid) in told.value.situation
        assert gpus.openers(bench.gpu.uuid) == {pid}
    gpus.secure(bench.gpu.uuid)


def _opened_for_all(bench: Bench) -> None:
    bench.node.chmod(0o666)


def _given_away(bench: Bench) -> None:
    os.chown(bench.node, BOB, KEEPER)


def _made_anew(bench: Bench) -> None:
    bench.make(OPENS)


@pytest.mark.parametrize("change", [_opened_for_all, _given_away, _made_anew])
@pytest.mark.parametrize("owner", [0, ALICE])
def test_what_was_changed_is_put_right_and_told(
    bench: Bench, change: Callable[[Bench], None], owner: int, caplog: pytest.LogCaptureFixture
) -> None:
    """By whatever of root's, while it is somebody's or nobody's."""
    gpus = bench.whole()
    if owner:
        gpus.give(bench.gpu.uuid, owner)
    caplog.clear()
    gpus.secure(bench.gpu.uuid)
    assert not caplog.messages
    change(bench)
    gpus.secure(bench.gpu.uuid)
    assert bench.state == (owner, KEEPER, 0o660)
    (told,) = caplog.messages
    assert told.startswith(f"Changed gpu={bench.gpu.uuid} uid={owner} node={bench.node}")


def _passed_on(gpus: WholeGpus, uuid: str) -> None:
    gpus.take_back(uuid)
    gpus.give(uuid, BOB)


class Crash(BaseException):
    """The helper is killed here."""


@pytest.mark.parametrize("step", range(1, 16))
def test_killed_at_any_step_the_next_helper_puts_it_right(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Before each thing that is written while the GPU goes from Alice to nobody to Bob: afterwards
    the node is somebody's who was on file at that time, and never open to all.
    """
    gpus = bench.whole()
    gpus.give(bench.gpu.uuid, ALICE)
    reached = [0]

    def reach(real: Callable[..., object]) -> Callable[..., object]:
        def instead(*arguments: object, **named: object) -> object:
            reached[0] += 1
            if reached[0] == step:
                raise Crash
            return real(*arguments, **named)

        return instead

    for module, name in ((os, "mknod"), (os, "chown"), (Path, "chmod"), (Path, "replace")):
        monkeypatch.setattr(module, name, reach(getattr(module, name)))
    with pytest.raises(Crash):
        _passed_on(gpus, bench.gpu.uuid)
    monkeypatch.undo()
    assert opening(bench.node, 64223) == CLOSED
    owner = bench.register().closed[bench.gpu.uuid]
    after = bench.whole()
    assert bench.state == (owner, KEEPER, 0o660)
    after.take_back(bench.gpu.uuid)
    assert bench.state == RESTING
    assert [each.name for each in bench.node.parent.iterdir() if ".new" in each.name] == []
    assert [opening(bench.node, uid) for uid in (ALICE, BOB)] == [CLOSED, CLOSED]


def test_the_next_helper_leaves_it_to_its_user(bench: Bench) -> None:
    """It is restarted while kernels run; the very node stays."""
    bench.whole().give(bench.gpu.uuid, ALICE)
    before = bench.node.stat()
    bench.whole()
    assert bench.node.stat() == before


@pytest.mark.parametrize("how", ["not whole", "not closed"])
def test_a_gpu_that_is_whole_no_more_is_opened_again(bench: Bench, how: str) -> None:
    """As the driver's parameters say: who uses its slices needs its node. What we have not closed
    is left alone.
    """
    bench.whole().give(bench.gpu.uuid, ALICE)
    uuids, keeper = ((), BROKER) if how == "not whole" else ((bench.gpu.uuid,), None)
    for _ in range(2):
        WholeGpus(bench.driver, bench.register(), uuids, keeper).begin()
        assert bench.state == (0, 12, 0o660)
        assert not bench.register().closed
    before = bench.node.stat()
    WholeGpus(bench.driver, bench.register(), uuids, keeper).begin()
    assert bench.node.stat() == before


def test_what_is_no_device_is_not_replaced(bench: Bench) -> None:
    """A regular file in its place: nothing is given."""
    gpus = bench.whole()
    bench.node.unlink()
    bench.node.write_text("")
    with pytest.raises(errors.NoPermission, match="cannot be closed"):
        gpus.give(bench.gpu.uuid, ALICE)


def test_a_node_that_nobody_has_made_is_told(bench: Bench) -> None:
    """The driver's own tool makes none any more; that it has no users is no error."""
    bench.node.unlink()
    helper = bench.helper()
    assert helper.do(verbs.Look(0, NO_GPU_INSTANCE)) == verbs.Occupied(())
    refused = helper.do(verbs.Secure(0))
    assert isinstance(refused, verbs.Failed)
    assert (refused.kind, "udev" in refused.next_step) == (errors.NoPermission.kind, True)
    assert f"{bench.node}: No such file" in refused.situation


@pytest.mark.parametrize(
    "verb",
    [
        verbs.Protect(1, NO_GPU_INSTANCE, ALICE),
        verbs.Own(0, NO_GPU_INSTANCE),
        verbs.Destroy(0, NO_GPU_INSTANCE),
        verbs.Create(0, 19, 0),
        verbs.Kill(0, NO_GPU_INSTANCE, os.getpid(), 0, gently=False),
    ],
)
def test_a_broker_in_the_wrong_hands_can_do_no_more(bench: Bench, verb: verbs.Verb) -> None:
    """No other GPU, nothing destroyed, nobody ended who is not there."""
    helper = bench.helper()
    assert isinstance(helper.do(verbs.Protect(0, NO_GPU_INSTANCE, ALICE)), verbs.Done)
    assert isinstance(helper.do(verb), verbs.Failed)
    assert bench.state == ALICES
    assert not bench.register().made


@pytest.mark.parametrize("uid", [ALICE, BOB])
def test_who_only_has_it_open_keeps_his_life(bench: Bench, uid: int) -> None:
    """Another kernel of its user's may have asked NVML something, another user's process may have
    been sent it open. It keeps the GPU from the next user.
    """
    with somebody(uid, _HOLD, str(bench.node), str(os.O_RDWR)) as pid:
        bench.register().close(bench.gpu.uuid, ALICE)
        helper = bench.helper()
        process = processes.find(pid)
        assert process is not None
        verb = verbs.Kill(0, NO_GPU_INSTANCE, pid, process.started_ticks, gently=False)
        assert isinstance(helper.do(verb), verbs.Failed)
        assert helper.do(verbs.Look(0, NO_GPU_INSTANCE)) == verbs.Occupied((pid,))


@pytest.mark.parametrize("how", ["computes", "was started for it"])
def test_its_users_processes_are_ended_with_the_lease(bench: Bench, how: str) -> None:
    """Those that compute there, and those that could begin to at any moment."""
    helper = bench.helper()
    helper.do(verbs.Protect(0, NO_GPU_INSTANCE, ALICE))
    meant = bench.gpu.uuid if how == "was started for it" else ""
    with ExitStack() as there:
        process = there.enter_context(
            subprocess.Popen(["/bin/sleep", "60"], user=ALICE, env={"CUDA_VISIBLE_DEVICES": meant})
        )
        if how == "computes":
            there.enter_context(bench.silicon.cuda_client(bench.gpu.uuid, process.pid))
        found = processes.find(process.pid)
        assert found is not None
        verb = verbs.Kill(0, NO_GPU_INSTANCE, process.pid, found.started_ticks, gently=True)
        assert helper.do(verb) == verbs.Done()
        assert process.wait(60) == -signal.SIGTERM


@pytest.mark.parametrize("verb", [verbs.Secure(0), verbs.Protect(0, NO_GPU_INSTANCE, ALICE)])
def test_the_node_under_slices_is_never_closed(tmp_path: Path, verb: verbs.Verb) -> None:
    """Whoever uses one needs it: on a GPU that is cut, whatever the configuration says of it."""
    with simulated.installed(f"{NODE}&root={tmp_path / 'tree'}") as silicon:
        bench = Bench(tmp_path, silicon, options="")
        assert isinstance(bench.helper().do(verb), verbs.Failed)
        assert bench.state == (0, 0, 0o666)
        bench.driver.close()


def test_a_descriptor_is_found_in_whatever_table(bench: Bench) -> None:
    """Also a slice's: the look is the same."""
    with somebody(BOB, _HOLD_IN_A_THREAD, str(bench.node), "ends") as pid:
        assert (pid, OPENS) in set(open_devices())
