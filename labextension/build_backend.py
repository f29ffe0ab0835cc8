"""The PEP 517 backend: setuptools, plus what Jupyter packages need of it.

setup.cfg's ``data_files`` carry the JupyterLab extension and the json that switches the server
extension on. Three facts about setuptools stand in the way of "``pip install`` is all":

- it expands the globs of ``data_files`` while it reads setup.cfg, so the TypeScript is built
  before it is called;
- an editable wheel leaves ``data_files`` out, so `build_editable` adds them;
- a wheel built in place starts from whatever an earlier build left in ``build/``, so files that
  have been removed since come back; every hook clears it first.

Where there is no Node.js, pip is asked for one. Where the front end cannot be built all the same,
there is no wheel and no source distribution; an editable install goes on without, and says so.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import TypeAlias

import frontend
import node
from setuptools import build_meta
from setuptools.build_meta import (
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ConfigSettings: TypeAlias = "dict[str, str | list[str] | None] | None"

ROOT = Path(__file__).resolve().parent.parent


def get_requires_for_build_wheel(config_settings: ConfigSettings = None) -> list[str]:
    """What setuptools needs, and a Node.js if the front end is to be built and there is none."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_node_if_needed()]


def get_requires_for_build_sdist(config_settings: ConfigSettings = None) -> list[str]:
    """As for a wheel."""
    return [*build_meta.get_requires_for_build_sdist(config_settings), *_node_if_needed()]


def get_requires_for_build_editable(config_settings: ConfigSettings = None) -> list[str]:
    """As for a wheel."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_node_if_needed()]


def build_sdist(sdist_directory: str, config_settings: ConfigSettings = None) -> str:
    """Pack the tree with the front end built, so that installing from it needs no Node.js."""
    frontend.ensure()
    name: str = build_meta.build_sdist(sdist_directory, config_settings)
    return name


def build_wheel(
    wheel_directory: str,
    config_settings: ConfigSettings = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel from the tree as it is now."""
    frontend.ensure()
    _clear_stale_build()
    name: str = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    return name


def build_editable(
    wheel_directory: str,
    config_settings: ConfigSettings = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the editable wheel and add the data files that setuptools leaves out."""
    try:
        frontend.ensure()
    except frontend.CannotBuildError as error:
        warnings.warn(f"INSTALLED WITHOUT ITS JUPYTERLAB EXTENSION. {error}", stacklevel=1)
    _clear_stale_build()
    name: str = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    _add_to_wheel(Path(wheel_directory, name), _data_files())
    return name


def _node_if_needed() -> list[str]:
    return [] if frontend.is_fresh() or node.find() else [node.PACKAGE]


def _clear_stale_build() -> None:
    shutil.rmtree(ROOT / "build", ignore_errors=True)


def _data_files() -> dict[str, Path]:
    """Where below ``sys.prefix`` each file of ``[options.data_files]`` belongs."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return {
        f"{target}/{path.name}": path
        for target, patterns in config["options.data_files"].items()
        for pattern in patterns.split()
        for path in sorted(ROOT.glob(pattern))
    }


def _add_to_wheel(wheel: Path, files: dict[str, Path]) -> None:
    """Rewrite `wheel` with `files` in its ``.data/data`` folder and in its RECORD.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    with zipfile.ZipFile(wheel) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    record = next(name for name in members if name.endswith(".dist-info/RECORD"))
    data = record.removesuffix(".dist-info/RECORD") + ".data/data"
    for target, path in files.items():
        content = path.read_bytes()
        members[f"{data}/{target}"] = content
        members[record] += _record_line(f"{data}/{target}", content)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _record_line(name: str, content: bytes) -> bytes:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n".encode()
