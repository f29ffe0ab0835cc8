"""Make ``jupyter_mig/nvml/simulated/models.json`` from a table of MIG profiles.

::

    python tools/simulated_models.py TABLE.json > jupyter_mig/nvml/simulated/models.json

The table is of schema ``jupyter_mig.mig_profiles/1``: profiles as drivers list them, with how far
each row may be trusted. GPUs of low trust are left out. What the table does not know (null) is
not made up; see docs/decisions/0020. Boards (names, PCI ids, power) and times are given here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Row = dict[str, Any]

BOARDS: dict[str, list[tuple[str, int | None, int, int]]] = {
    "a30": [("A30", 0x20B7, 30, 165)],
    "a100-40gb": [("A100-SXM4-40GB", 0x20B0, 52, 400), ("A100-PCIE-40GB", 0x20F1, 35, 250)],
    "a100-80gb": [
        ("A100-SXM4-80GB", 0x20B2, 61, 400),
        ("A100 80GB PCIe", 0x20B5, 45, 300),
        ("A800-SXM4-80GB", 0x20F3, 61, 400),
    ],
    "h100-80gb-sxm": [("H100 80GB HBM3", 0x2330, 71, 700)],
    "h100-80gb-pcie": [("H100 PCIe", 0x2331, 48, 350)],
    "h100-94gb-nvl": [("H100 NVL", 0x2321, 61, 400)],
    "gh200-96gb": [("GH200 480GB", 0x2342, 74, 900), ("GH200 120GB", 0x2342, 74, 900)],
    "gh200-144gb": [("GH200 144G HBM3e", 0x2348, 80, 900)],
    "h200-141gb": [("H200", 0x2335, 76, 700), ("H200 NVL", 0x233B, 68, 600)],
    "b200-180gb": [("B200", 0x2901, 141, 1000)],
    "gb200-186gb": [("GB200", 0x2941, 140, 1200)],
    "rtx-pro-6000-blackwell-96gb": [
        ("RTX PRO 6000 Blackwell Server Edition", 0x2BB5, 34, 600),
        ("RTX PRO 6000 Blackwell Workstation Edition", None, 15, 600),
        ("RTX PRO 6000 Blackwell Max-Q Workstation Edition", None, 14, 300),
    ],
}
"""Name without NVIDIA, PCI device id, idle watts (plausible), limit in watts (published)."""

TIMES: dict[str, tuple[dict[int, float], dict[int, float]]] = {
    "a30": ({1: 0.11, 2: 0.12, 4: 0.13}, {1: 0.1, 2: 0.1, 4: 0.1}),
    "a100": (
        {1: 0.16, 2: 0.17, 3: 0.2, 4: 0.21, 7: 0.24},
        {1: 0.2, 2: 0.2, 3: 0.21, 4: 0.21, 7: 0.22},
    ),
    "h100": (
        {1: 0.16, 2: 0.21, 3: 0.33, 4: 0.38, 7: 0.42},
        {1: 0.21, 2: 0.23, 3: 0.25, 4: 0.26, 7: 0.26},
    ),
    "rtx": ({1: 0.21, 2: 0.33, 4: 0.42}, {1: 0.23, 2: 0.25, 4: 0.26}),
}
"""Seconds to create and to destroy, by compute slices.

No times of boards newer than H100 are published. The eight-slice ones have H100's; RTX PRO's are
scaled from H100's: a quarter, a half and the whole GPU take what 2g, 3g and 7g take there.
"""

FIRST_DRIVER = {"b200-180gb": 575, "gb200-186gb": 575, "rtx-pro-6000-blackwell-96gb": 575}
"""The oldest simulated driver that knows the board."""


def family(gpu: Row) -> Row:
    """One entry of models.json: boards that are cut alike."""
    create, destroy = TIMES[_times(gpu["key"])]
    floor = memory_floors(gpu)
    return {
        "boards": [
            {
                "name": name,
                "pci_device_id": pci or 0,
                "idle_power_milliwatts": idle * 1000,
                "power_limit_milliwatts": limit * 1000,
            }
            for name, pci, idle, limit in BOARDS[gpu["key"]]
        ],
        "architecture": gpu["architecture"].split()[0],
        "compute_capability": [int(part) for part in gpu["compute_capability"].split(".")],
        "memory_mib": gpu["memory_total_mib"] or max(floor.values()),
        "memory_slices": gpu["memory_slices"],
        "compute_slices": gpu["compute_slices"],
        "mig_toggle_needs_reset": gpu["mig_mode_toggle_needs_reset"],
        "gpm": bool(gpu["gpm_supported"]),
        "first_driver": FIRST_DRIVER.get(gpu["key"], 535),
        "create_seconds": create,
        "destroy_seconds": destroy,
        "profiles": [
            profile(row, floor[row["name"]], gpu.get("alternate_profile_names", {}))
            for row in gpu["profiles"]
        ],
    }


def profile(row: Row, memory_mib: int, older_names: dict[str, str]) -> Row:
    """One GPU instance profile; ``older`` is what drivers before the newest one say of it."""
    others = row.get("memory_mib_other_drivers") or []
    base, plus, suffix = row["name"].partition("+")
    name = older_names.get(base, base) + plus + suffix
    changed: Row = {"memory_mib": max(others)} if others else {}
    if name != row["name"]:
        changed["name"] = name
    older = {"older": changed} if changed else {}
    return {
        "name": row["name"],
        "id": row["profile_id"],
        "enum": row["nvml_enum"],
        "slices": row["compute_slices"],
        "memory_mib": memory_mib,
        "multiprocessors": row["sm_count"] or 0,
        "max_count": row["max_count"],
        "starts": [start for start, _ in row["placements"]],
        "size": row["memory_slices"],
        "engines": row["engines"],
        **older,
        "compute_profiles": [compute(one) for one in row["compute_instance_profiles"]],
    }


def compute(row: Row) -> Row:
    """One compute instance profile."""
    return {
        "id": row["ci_profile_id"],
        "slices": row["ci_slices"],
        "multiprocessors": row["sm_count"] or 0,
        "max_count": row["max_count"],
        "starts": [start for start, _ in row["placements"]],
    }


def memory_floors(gpu: Row) -> dict[str, int]:
    """Memory of each profile; of one not known, what known ones hold on as many slices."""
    known = [row for row in gpu["profiles"] if row["memory_mib"]]
    return {
        row["name"]: row["memory_mib"]
        or max(row["memory_slices"] // one["memory_slices"] * one["memory_mib"] for one in known)
        for row in gpu["profiles"]
    }


def text(families: list[Row]) -> str:
    """JSON with one profile to a line."""
    blocks = []
    for one in families:
        head = {key: value for key, value in one.items() if key != "profiles"}
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
        rows = ",\n".join(f"   {json.dumps(row)}" for row in one["profiles"])
        blocks.append("\n".join([" {", *lines, f'  "profiles": [\n{rows}\n  ]', " }"]))
    return "[\n" + ",\n".join(blocks) + "\n]\n"


def _times(key: str) -> str:
    return next((one for one in TIMES if key.startswith(one)), "h100")


if __name__ == "__main__":
    table = json.loads(Path(sys.argv[1]).read_bytes())
    chosen = [gpu for gpu in table["gpus"] if gpu["key"] in BOARDS]
    sys.stdout.write(text([family(gpu) for gpu in chosen]))
