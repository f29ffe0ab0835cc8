"""Logos with a size on them, for front ends that show kernels as pictures: JupyterLab's launcher
prefers ``logo-svg.svg`` to the other logos.
"""

from __future__ import annotations

import base64
from pathlib import Path
from xml.sax.saxutils import escape

NAME = "logo-svg.svg"

_KINDS = {NAME: "image/svg+xml", "logo-64x64.png": "image/png"}
"""Logos to start from and what they are, the best first."""

_LARGEST_FONT = 12.0
_WIDTH_OF_A_LETTER = 0.68
"""Of a bold sans-serif letter, as a share of the font's size."""

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">
  <image x="10" y="1" width="44" height="40" href="data:{kind};base64,{data}"/>
  <rect x="1" y="44" width="62" height="19" rx="4" fill="#1565c0"/>
  <text x="32" y="{baseline:.1f}" text-anchor="middle" font-family="system-ui, sans-serif"
    font-weight="600" font-size="{font:.1f}" fill="#ffffff">{size}</text>
</svg>
"""


def with_size(resource_dir: Path, size: str) -> str | None:
    """The kernel's logo with the size below it, as SVG; None if the kernel has no logo.

    Raises :class:`OSError`.
    """
    for name, kind in _KINDS.items():
        path = resource_dir / name
        if path.is_file():
            return _drawn(kind, path.read_bytes(), size)
    return None


def _drawn(kind: str, logo: bytes, size: str) -> str:
    font = min(_LARGEST_FONT, 58 / (_WIDTH_OF_A_LETTER * max(1, len(size))))
    return _SVG.format(
        kind=kind,
        data=base64.b64encode(logo).decode(),
        baseline=53.5 + 0.36 * font,
        font=font,
        size=escape(size),
    )
