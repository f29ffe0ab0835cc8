"""A kernel's logo with a size on it."""

from __future__ import annotations

import base64
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig.kernels import logos

SVG = "{http://www.w3.org/2000/svg}"


def _logo(directory: Path, size: str) -> ET.Element:
    drawn = logos.with_size(directory, size)
    assert drawn is not None
    return ET.fromstring(drawn)


def _image(logo: ET.Element) -> tuple[str, bytes]:
    image = logo.find(f"{SVG}image")
    assert image is not None
    kind, _, data = image.attrib["href"].removeprefix("data:").partition(";base64,")
    return kind, base64.b64decode(data)


def test_the_size_stands_below_the_kernels_own_logo(tmp_path: Path) -> None:
    """The vector one if there are several."""
    (tmp_path / "logo-64x64.png").write_bytes(b"png")
    assert _image(_logo(tmp_path, "1g.10gb")) == ("image/png", b"png")
    (tmp_path / "logo-svg.svg").write_bytes(b"<svg/>")
    logo = _logo(tmp_path, "1g.10gb")
    assert _image(logo) == ("image/svg+xml", b"<svg/>")
    assert logo.findtext(f"{SVG}text") == "1g.10gb"


def test_without_a_logo_there_is_none(tmp_path: Path) -> None:
    """JupyterLab then shows a letter, as for any kernel without one."""
    assert logos.with_size(tmp_path, "1g.10gb") is None


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40))
def test_any_size_is_drawn_as_it_is_called(size: str) -> None:
    """And in letters so small that it fits."""
    with TemporaryDirectory() as directory:
        (Path(directory) / "logo-svg.svg").write_bytes(b"<svg/>")
        text = _logo(Path(directory), size).find(f"{SVG}text")
    assert text is not None
    assert text.text == size
    assert float(text.attrib["font-size"]) * 0.6 * len(size) <= 60
