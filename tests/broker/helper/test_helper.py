"""The helper as the broker sees it: over its socket pair, on a simulated node."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.helper import line, verbs
from jupyter_mig.broker.helper.driver import HelpedDriver
from jupyter_mig.broker.helper.hands import Hands
from jupyter_mig.broker.helper.helper import Helper
from jupyter_mig.broker.helper.register import Register
from jupyter_mig.core.geometry import Identity, Spec
from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.access import AccessNodes
from jupyter_mig.nvml.driver import Driver

NODE = "2xA100-SXM4-40GB?time_scale=0"
ONE_G = 19
ALICE, BOB = 64203, 64204


class Root:
    """A node and everything about it that is root's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.access = AccessNodes.under(directory / "tree")
        self.driver = Driver(f"simulated:{NODE}", simulated=True, access=self.access)
        self.uuids = tuple(gpu.uuid for gpu in self.driver.gpus())

    def helper(self, *uuids: str, isolates: bool = True) -> Helper:
        """A helper for these GPUs; for the first if none is named."""
        register = Register(self.directory / "made.json")
        return Helper(self.driver, uuids or self.uuids[:1], register, isolates=isolates)

    @contextmanager
    def helped(self, *uuids: str, isolates: bool = True) -> Iterator[HelpedDriver]:
        """The driver of a broker that has such a helper."""
        ours, theirs = line.make()
        helper = self.helper(*uuids, isolates=isolates)
        thread = Thread(target=line.serve, args=(theirs, helper))
        thread.start()
        own = Driver(f"simulated:{NODE}", simulated=True, access=self.access)
        with closing(HelpedDriver(own, Hands(ours))) as driver:
            yield driver
        thread.join()

    def make_devices(self) -> None:
        """The tree's nodes as the character devices that they are elsewhere."""
        for number, node in enumerate(sorted((self.directory / "tree/dev").rglob("nvidia-cap*"))):
            if node.is_file():
                node.unlink()
                os.mknod(node, stat.S_IFCHR | 0o444, os.makedev(240, number))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """A node of two A100s with its tree of capabilities."""
    with simulated.installed(f"{NODE}&root={tmp_path / 'tree'}"):
        node = Root(tmp_path)
        with closing(node.driver):
            yield node


def test_a_broker_makes_and_destroys_through_it(root: Root) -> None:
    """It sees the places, which only root is told, and the instance comes and goes."""
    with root.helped() as driver:
        (gpu,) = driver.gpus()
        made = driver.create(Spec(gpu.uuid, ONE_G, 6))
        (seen,) = driver.instances(gpu.uuid)
        assert (seen.identity, seen.spec.start) == (made, 6)
        assert driver.memory(made)[1] > 0
        driver.destroy(gpu.uuid, made)
        assert driver.instances(gpu.uuid) == ()


def test_other_gpus_do_not_exist_for_it(root: Root) -> None:
    """The list is the helper's, whatever its broker says."""
    with root.helped(root.uuids[1]) as driver:
        assert [gpu.uuid for gpu in driver.gpus()] == [root.uuids[1]]
        with pytest.raises(errors.NotFound):
            driver.create(Spec(root.uuids[0], ONE_G, 0))
    outcome = root.helper().do(verbs.Create(1, ONE_G, 0))
    assert isinstance(outcome, verbs.Failed)
    assert root.driver.instances(root.uuids[1]) == ()


def test_a_gpu_that_is_not_there_is_named(root: Root) -> None:
    """A typing error in the configuration must not become a node without GPUs."""
    with pytest.raises(errors.NotFound, match="GPU-0000") as missing:
        root.helper("GPU-0000")
    assert root.uuids[0] in missing.value.situation


def test_it_destroys_nothing_that_it_has_not_made(root: Root) -> None:
    """Others cut GPUs, too, and a broker in the wrong hands must not undo it."""
    uuid = root.uuids[0]
    others = root.driver.create(Spec(uuid, ONE_G, 0))
    with root.helped() as driver, pytest.raises(errors.NoPermission):
        driver.destroy(uuid, others)
    assert len(root.driver.instances(uuid)) == 1


def test_an_administrator_can_have_it_destroy_what_others_made(root: Root) -> None:
    """It is told that the instance is its own first; one that is not there it does not take."""
    uuid = root.uuids[0]
    others = root.driver.create(Spec(uuid, ONE_G, 0))
    with root.helped() as driver:
        driver.own(uuid, others)
        driver.destroy(uuid, others)
        assert root.driver.instances(uuid) == ()
        with pytest.raises(errors.NotFound):
            driver.own(uuid, others)


def test_a_new_helper_knows_what_the_one_before_has_made(root: Root) -> None:
    """It is updated and restarted while kernels run."""
    uuid = root.uuids[0]
    with root.helped() as driver:
        made = driver.create(Spec(uuid, ONE_G, 0))
    with root.helped() as driver:
        driver.destroy(uuid, made)
    assert root.driver.instances(uuid) == ()


class _Dying(Driver):
    """One in which a power switch is hit: what is made is made, and nobody learns of it."""

    def create(self, spec: Spec) -> Identity:
        super().create(spec)
        raise KeyboardInterrupt


def test_what_was_made_when_the_helper_died_is_the_next_ones(root: Root) -> None:
    """Its place was on file before the driver was asked; others' instances are not meant."""
    uuid = root.uuids[0]
    others = root.driver.create(Spec(uuid, ONE_G, 5))
    register = Register(root.directory / "made.json")
    dying = _Dying(f"simulated:{NODE}", simulated=True, access=root.access)
    with closing(dying), pytest.raises(KeyboardInterrupt):
        Helper(dying, (uuid,), register).do(verbs.Create(0, ONE_G, 6))
    (made,) = [each for each in root.driver.instances(uuid) if each.identity != others]
    with root.helped() as driver:
        with pytest.raises(errors.NoPermission):
            driver.destroy(uuid, others)
        driver.destroy(uuid, made.identity)
    assert [each.identity for each in root.driver.instances(uuid)] == [others]
    assert Register(root.directory / "made.json").begun == frozenset()


def test_what_could_not_be_made_is_not_begun(root: Root) -> None:
    """Somebody else's instance in that place does not become ours by it."""
    uuid = root.uuids[0]
    others = root.driver.create(Spec(uuid, ONE_G, 0))
    with root.helped() as driver:
        with pytest.raises(errors.InsufficientResources):
            driver.create(Spec(uuid, ONE_G, 0))
        with pytest.raises(errors.NoPermission):
            driver.destroy(uuid, others)


def test_a_register_that_cannot_be_read_is_no_empty_one(root: Root) -> None:
    """Everything made would become somebody else's for ever."""
    (root.directory / "made.json").write_text("{")
    with pytest.raises(errors.CorruptLog, match="register"):
        root.helper()


def test_the_drivers_own_words_come_back(root: Root) -> None:
    """With NVML's number: the broker decides by it what to try again."""
    with root.helped() as driver:
        driver.create(Spec(root.uuids[0], ONE_G, 0))
        with pytest.raises(errors.InsufficientResources) as refused:
            driver.create(Spec(root.uuids[0], ONE_G, 0))
    assert refused.value.code == 23
    assert refused.value.call.startswith("nvml")


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes device nodes")
def test_the_nodes_of_an_instance_are_given_and_taken(root: Root) -> None:
    """To the user of the lease, then to nobody."""
    uuid = root.uuids[0]
    with root.helped() as driver:
        made = driver.create(Spec(uuid, ONE_G, 0))
        root.make_devices()
        driver.protect(uuid, made, ALICE)
        nodes = [node for node, _ in driver.described_nodes(uuid, made)]
        assert [(node.stat().st_uid, node.stat().st_mode & 0o777) for node in nodes] == [
            (ALICE, 0o400)
        ] * 2
        driver.unprotect(uuid, made)
        assert [(node.stat().st_uid, node.stat().st_mode & 0o777) for node in nodes] == [(0, 0)] * 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes device nodes")
def test_who_has_a_node_open_is_seen_and_can_be_ended(root: Root) -> None:
    """Also by a descriptor from before, which no change of the node takes away."""
    uuid = root.uuids[0]
    with root.helped(isolates=False) as driver:
        made = driver.create(Spec(uuid, ONE_G, 0))
        with opener_of(root, driver.described_nodes(uuid, made)[0][0], ALICE) as stashed:
            assert driver.occupants(uuid, made) == (stashed.pid,)
            (seen,) = driver.instances(uuid)
            assert seen.occupants == (stashed.pid,)
            with pytest.raises(errors.InUse):
                driver.protect(uuid, made, ALICE)
            process = processes.find(stashed.pid)
            assert process is not None
            driver.end(uuid, made, process.pid, process.started_ticks + 1, gently=True)
            assert stashed.poll() is None, "another process of that pid is left alone"
            driver.end(uuid, made, process.pid, process.started_ticks, gently=True)
            assert stashed.wait(10) == -signal.SIGTERM
        assert driver.occupants(uuid, made) == ()


@contextmanager
def opener_of(root: Root, node: Path, uid: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that user's with a slice's node open, however it got there."""
    root.make_devices()
    owner = node.stat().st_uid
    node.unlink()
    os.mknod(node, stat.S_IFCHR | 0o444, os.makedev(1, 8))
    os.chown(node, owner, 0)
    with (
        node.open() as opened,
        subprocess.Popen(["sleep", "60"], stdin=opened, user=uid) as process,
    ):
        opened.close()
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes device nodes")
@pytest.mark.parametrize("uid", [ALICE, BOB])
def test_who_just_has_a_node_open_is_ended_only_if_the_slice_is_his(root: Root, uid: int) -> None:
    """Another may have been sent it without a say in it. Neither keeps it over its end: there is no
    other instance in its place.
    """
    uuid = root.uuids[0]
    with root.helped() as driver:
        made = driver.create(Spec(uuid, ONE_G, 0))
        root.make_devices()
        driver.protect(uuid, made, ALICE)
        with opener_of(root, driver.described_nodes(uuid, made)[0][0], uid) as opener:
            process = processes.find(opener.pid)
            assert process is not None
            assert (driver.occupants(uuid, made), driver.computing(uuid, made)) == (
                (opener.pid,),
                (),
            )
            with pytest.raises(errors.InUse, match="open"):
                driver.destroy(uuid, made)
            if uid == ALICE:
                driver.end(uuid, made, process.pid, process.started_ticks, gently=False)
                assert opener.wait(60) == -signal.SIGKILL
            else:
                with pytest.raises(errors.NoPermission, match="does not compute"):
                    driver.end(uuid, made, process.pid, process.started_ticks, gently=False)
                assert opener.poll() is None
        driver.destroy(uuid, made)


def test_it_ends_nobody_who_is_not_on_the_instance(root: Root) -> None:
    """Being told to is not enough: it must be there, or have been started for it."""
    uuid = root.uuids[0]
    made = root.driver.create(Spec(uuid, ONE_G, 0))
    outcome = root.helper().do(verbs.Kill(0, made.gi_id, os.getpid(), 0, gently=False))
    assert isinstance(outcome, verbs.Failed)
    assert f"Process {os.getpid()} is not on" in outcome.message


def test_it_ends_who_was_started_for_the_instance(root: Root) -> None:
    """He could begin to compute at any moment; one started for another instance is left alone."""
    uuid = root.uuids[0]
    made, other = (root.driver.create(Spec(uuid, ONE_G, start)) for start in (0, 1))
    environ = {"CUDA_VISIBLE_DEVICES": made.mig_uuid or ""}
    with subprocess.Popen(["/bin/sleep", "60"], env=environ) as started, root.helped() as driver:
        process = processes.find(started.pid)
        assert process is not None
        who = (process.pid, process.started_ticks)
        with pytest.raises(errors.NotFound, match="was not started for it"):
            driver.end(uuid, other, *who, gently=True)
        driver.end(uuid, made, *who, gently=True)
        assert started.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize(
    "message",
    [
        b"{",
        b'{"number": 1}',
        b'{"number": 1, "verb": {"type": "Reboot"}}',
        b'{"number": 1, "verb": {"type": "Observe", "gpu": "0; rm"}}',
        b'{"number": 1, "verb": {"type": "Observe", "gpu": -1}}',
        b'{"number": 1, "verb": {"type": "Observe", "gpu": 0, "and": 1}}',
    ],
)
def test_what_is_no_verb_ends_the_helper(root: Root, message: bytes) -> None:
    """The broker that it serves says no such thing; whoever does is somebody else."""
    ours, theirs = line.make()
    with closing(ours), closing(theirs):
        ours.send(message)
        with pytest.raises(msgspec.MsgspecError):
            line.serve(theirs, root.helper())


def test_a_helper_that_is_gone_is_an_error_not_a_hang() -> None:
    """For those who wait for an answer and for those who ask later."""
    ours, theirs = line.make()
    theirs.close()
    hands = Hands(ours)
    for _ in range(2):
        with pytest.raises(errors.DriverError, match="helper is gone"):
            hands.ask(verbs.Describe(), verbs.Described)
    hands.close()


def test_the_longest_message_fits(root: Root) -> None:
    """Of a node with more GPUs than any has."""
    gpus = root.driver.gpus() * 8
    reply = msgspec.json.encode(verbs.Reply(1, verbs.Described(gpus)))
    ours, theirs = line.make()
    with closing(ours), closing(theirs):
        theirs.send(reply)
        assert ours.recv(line.LONGEST_BYTES) == reply
