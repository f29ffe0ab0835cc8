"""Nodes and kernelspecs to derive from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from jupyter_mig.kernels.kernelspecs import BaseSpec
from jupyter_mig.wire.messages import AllowanceView, GpuView, NodeView, SizeCount

A100 = ("1g.5gb", "1g.5gb+me", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb")
RTX = (
    *("1g.24gb", "1g.24gb+me", "1g.24gb+gfx", "1g.24gb+me.all", "1g.24gb-me"),
    *("2g.48gb", "2g.48gb+gfx", "2g.48gb+me.all", "4g.96gb", "4g.96gb+gfx"),
)


def node(*sizes: str, simulated: bool = False) -> NodeView:
    """A node that offers these sizes; their figures do not matter."""
    return NodeView(
        driver="simulated:1xA100-SXM4-40GB" if simulated else "nvml",
        simulated=simulated,
        gpus=(GpuView("GPU-1", 0, "NVIDIA A100-SXM4-40GB", 40 << 30, 8, "dynamic"),),
        sizes=tuple(SizeCount(name, 1, 1, 5 << 30, 14, 1) for name in sizes),
        waiting=0,
    )


def ruled(one: NodeView, *allowed: str) -> NodeView:
    """The node as one sees it to whom a rule allows these sizes alone."""
    rule = AllowanceView("rule 1 (*)", f"sizes {', '.join(allowed)}", "0 slices")
    sizes = tuple(
        size if size.size in allowed else replace(size, free=0, not_allowed=rule.rule)
        for size in one.sizes
    )
    return replace(one, sizes=sizes, allowance=rule)


def document(display_name: str = "Python 3 (ipykernel)", **more: Any) -> dict[str, Any]:
    """A ``kernel.json``."""
    argv = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return {"argv": argv, "display_name": display_name, "language": "python", **more}


def base(directory: Path, name: str = "python3", **more: Any) -> BaseSpec:
    """A kernelspec in ``directory``."""
    return BaseSpec(name, document(**more), directory)
