"""Transcripts of NVML: recorded on one library, played to the driver as another."""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Iterator
from contextlib import closing
from ctypes import byref, c_uint
from pathlib import Path

import msgspec
import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig import errors
from jupyter_mig.cli.acceptance.record import read
from jupyter_mig.cli.acceptance.trials import Bench, Trial
from jupyter_mig.core.geometry import Spec
from jupyter_mig.nvml import raw, simulated
from jupyter_mig.nvml.driver import Driver, open_driver
from jupyter_mig.nvml.examination import examine
from jupyter_mig.nvml.simulated import Node
from jupyter_mig.nvml.transcripts import Call, Mismatch, Transcript, played, recorded
from jupyter_mig.nvml.transcripts.anonymity import anonymous
from jupyter_mig.nvml.transcripts.ctypes_values import fill, seen, target

RECORDINGS = sorted(Path(__file__).with_name("recordings").glob("*.json"))
"""What administrators sent us, as ``jupyter mig acceptance`` wrote it."""

NODES = (
    "1xA30?time_scale=0",
    "1xA100-SXM4-40GB?time_scale=0",
    "1xH100 80GB HBM3?time_scale=0&driver=535",
    "1xRTX PRO 6000 Blackwell Server Edition?time_scale=0",
)


def session(driver: Driver, index: int = 0) -> list[Trial]:
    """What an acceptance run asks, in its order, and finds; without the times it took."""
    examine()
    gpu = next(gpu for gpu in driver.gpus() if gpu.index == index)
    bench = Bench(driver, gpu)
    trials = list(bench.trials(lambda: False))
    assert bench.clear() == []
    return [_timeless(trial) for trial in trials]


def _timeless(trial: Trial) -> Trial:
    return msgspec.structs.replace(trial, create_seconds=0, observe_seconds=0, destroy_seconds=0)


def through_json(transcript: Transcript) -> Transcript:
    """As it reads back from a file."""
    return msgspec.json.decode(msgspec.json.encode(transcript), type=Transcript)


@pytest.mark.parametrize("node", NODES)
def test_a_recording_replays_to_the_same_results(node: str) -> None:
    """Every profile at every start: what the simulator answered, the transcript answers."""
    with simulated.installed(node):
        with closing(Driver()) as driver, recorded() as recorder:
            found = session(driver)
        transcript = anonymous(through_json(recorder.transcript()), socket.gethostname())
    assert found
    assert not any(trial.problems for trial in found)
    with closing(Driver(library=played(transcript))) as driver:
        assert driver.simulated
        assert session(driver) == found


def test_recordings_of_hardware_replay() -> None:
    """What was found there is found again."""
    if not RECORDINGS:
        pytest.skip("Nobody has sent us a recording of MIG hardware yet: docs/howto/acceptance.md")
    for path in RECORDINGS:
        record = read(path)
        with closing(Driver(library=played(record.transcript))) as driver:
            found = session(driver, record.gpu_index)
        assert found == [_timeless(trial) for trial in record.trials], path


def a_few_calls(truth: Node) -> Transcript:
    """Make an instance with somebody on it, fail to destroy it, and destroy it."""
    with closing(Driver(destroy_patience_seconds=0)) as driver, recorded() as recorder:
        (gpu,) = driver.gpus()
        profile = gpu.geometry.profiles[0]
        identity = driver.create(Spec(gpu.uuid, profile.profile_id, 0))
        (uuid,) = truth.mig_uuids
        with truth.cuda_client(uuid), pytest.raises(errors.InUse):
            driver.destroy(gpu.uuid, identity)
        driver.destroy(gpu.uuid, identity)
    return through_json(recorder.transcript())


@pytest.fixture
def short() -> Iterator[Transcript]:
    """A transcript with a refusal in it."""
    with simulated.installed("1xA30?time_scale=0") as truth:
        yield a_few_calls(truth)


def test_refusals_are_recorded_with_their_codes(short: Transcript) -> None:
    """In Use is in the transcript, and comes again at the same point."""
    assert [call.code for call in short.calls if "Destroy" in call.name].count(19) == 1
    assert short.simulated


def test_another_change_than_the_recorded_one_is_a_mismatch(short: Transcript) -> None:
    """It names what the transcript has instead; questions may be asked as often as one likes."""
    with closing(Driver(library=played(short))) as driver:
        (gpu,) = driver.gpus()
        assert driver.gpus() == driver.gpus() == (gpu,)
        wrong = gpu.geometry.profiles[1]
        with pytest.raises(Mismatch, match="the next change is nvmlDeviceCreateGpuInstance"):
            driver.create(Spec(gpu.uuid, wrong.profile_id, 2))


def test_functions_that_were_missing_are_missing_again() -> None:
    """An old driver's library lacks some; the recording knows, and so does the replay."""
    with simulated.installed("1xA30?time_scale=0&driver=535"):
        with closing(Driver()), recorded() as recorder:
            device = raw.device_by_index(0)
            with pytest.raises(pynvml.NVMLError_FunctionNotFound):
                pynvml.nvmlDeviceGetGpuInstanceProfileInfoByIdV(device, 0)
        transcript = through_json(recorder.transcript())
    assert transcript.missing == ("nvmlDeviceGetGpuInstanceProfileInfoByIdV",)
    with closing(Driver(library=played(transcript))):
        device = raw.device_by_index(0)
        with pytest.raises(pynvml.NVMLError_FunctionNotFound):
            pynvml.nvmlDeviceGetGpuInstanceProfileInfoByIdV(device, 0)


def test_nothing_names_the_machine() -> None:
    """UUIDs, PCI addresses, serials and the host's name go; equal ones stay equal."""
    uuid = "GPU-7ba2b39b-7461-55c6-b6a2-61a0dc14961f"
    transcript = Transcript(
        simulated=False,
        calls=(
            Call("nvmlDeviceGetUUID", (1, "", 96), told={1: uuid}),
            Call("nvmlDeviceGetHandleByUUID", (uuid, 0), told={1: 5}),
            Call("nvmlDeviceGetPciInfo_v3", (5, {}), told={1: {"busId": "00000000:3B:00.0"}}),
            Call("nvmlDeviceGetSerial", (5, "", 30), told={1: "1322921093999"}),
            Call("nvmlDeviceGetName", (5, "", 96), told={1: "NVIDIA on node7 1322921093999"}),
        ),
    )
    masked = anonymous(transcript, host="node7")
    text = msgspec.json.encode(masked).decode()
    for name in ("7ba2b39b", "3B:00", "1322921093999", "node7"):
        assert name not in text
    told, (asked, _) = masked.calls[0].told[1], masked.calls[1].given
    assert told == asked
    assert told.startswith("GPU-00000000-0000-4000-8000-")
    assert anonymous(masked, host="node7") == anonymous(masked)
    assert [call.name for call in masked.calls] == [call.name for call in transcript.calls]


def test_the_library_is_put_back() -> None:
    """After recording and after playing, pynvml has what it had."""
    before = pynvml.nvmlLib
    with closing(open_driver("simulated:1xA30")):
        inside = pynvml.nvmlLib
        with recorded():
            assert pynvml.nvmlLib is not inside
        assert pynvml.nvmlLib is inside
    assert pynvml.nvmlLib is before


class Place(ctypes.Structure):
    """A struct within a struct."""

    _fields_ = (("start", c_uint), ("size", c_uint))


class Everything(ctypes.Structure):
    """All kinds of fields that NVML has."""

    _fields_ = (
        ("number", ctypes.c_ulonglong),
        ("text", ctypes.c_char * 16),
        ("place", Place),
        ("places", Place * 4),
        ("handle", pynvml.c_nvmlDevice_t),
        ("ratio", ctypes.c_double),
    )


@given(
    st.integers(0, 2**64 - 1),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=15),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 8)), max_size=4),
    st.integers(0, 2**47),
    st.floats(allow_nan=False).map(lambda ratio: ratio + 0.0),  # no zero but the positive
)
def test_memory_goes_to_json_and_back(
    number: int, text: str, places: list[tuple[int, int]], handle: int, ratio: float
) -> None:
    """Whatever a C function wrote is written again, over whatever was there."""
    told = Everything(number=number, text=text.encode(), ratio=ratio)
    for index, (start, size) in enumerate(places):
        told.places[index] = Place(start, size)
    told.handle = ctypes.cast(ctypes.c_void_p(handle), pynvml.c_nvmlDevice_t)
    value = msgspec.json.decode(msgspec.json.encode(seen(told)))
    again = Everything(number=1, text=b"before", place=Place(3, 4))
    fill(target(byref(again)), value)
    assert bytes(again) == bytes(told)
