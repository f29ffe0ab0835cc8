"""The simulated NVML as a shared library, for programs that are not Python.

::

    python -m jupyter_mig.nvml.simulated.shared_library --output DIR
    LD_LIBRARY_PATH=DIR JUPYTER_MIG_SIMULATED_NODE=2xA100-SXM4-40GB some-monitor

It is this package in an embedded Python interpreter (cffi's embedding), with the same C functions
as :mod:`.library` has. It needs cffi, a C compiler, and a Python with a shared ``libpython``;
a Python program that loads it must be of the version that built it.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

from .codes import Code
from .exported import exports, prototypes

LIBRARY = "libnvidia-ml.so.1"
_MODULE = "_jupyter_mig_simulated_nvml"

_FIND_CFFI = """
#include <stdio.h>
#include <stdlib.h>

static void __attribute__((constructor)) find_cffi(void)
{
    static char path[32768];
    const char *before = getenv("PYTHONPATH");
    if (Py_IsInitialized()) return;
    setenv("PYTHONPATH_BEFORE", before ? before : "", 1);
    before = getenv("PYTHONPATH_BEFORE");
    snprintf(path, sizeof path, "%s%s%s", before, *before ? ":" : "", FOLDER);
    setenv("PYTHONPATH", path, 1);
}
"""
"""cffi imports its backend before the first line of ours runs, in an interpreter that knows nothing
of the virtual environment which has it. ``_BEGIN`` gives the program its own environment back.
"""

_BEGIN = """
import os, sys, traceback
before = os.environ.pop("PYTHONPATH_BEFORE", None)
if before is not None:
    os.environ["PYTHONPATH"] = before
    if not before:
        del os.environ["PYTHONPATH"]
sys.path.extend(path for path in {paths!r} if path not in sys.path)
from {module} import ffi
names = {names!r}
try:
    from jupyter_mig.nvml.simulated import exported
    exported.bind(ffi, names)
except BaseException:
    traceback.print_exc()
    for name in names:
        ffi.def_extern(name=name)(lambda *arguments: {no_driver})
    ffi.def_extern(name="nvmlErrorString")(lambda code: ffi.NULL)
"""
"""What the embedded interpreter begins with.

The package may have moved or changed since the library was built. If it cannot be used any more
there is no driver: cffi by itself would answer each call with 0, which is success.
"""


class CannotBuild(RuntimeError):
    """The shared library cannot be built here; the message says what is missing."""


def build(directory: Path) -> Path:
    """Build ``libnvidia-ml.so.1`` in the directory, and a link to it for linkers; gives its path.

    Raises CannotBuild without cffi or without a shared libpython.
    """
    try:
        import _cffi_backend  # type: ignore[import-untyped]  # C, without types
        from cffi import FFI
    except ImportError as error:
        raise CannotBuild(
            "cffi is missing: pip install 'jupyter-mig[simulator-library]'"
        ) from error
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        raise CannotBuild(f"{sys.executable} has no shared libpython to embed")
    ffi = FFI()
    ffi.embedding_api(prototypes())
    folder = sysconfig.get_config_var("LIBDIR")
    ffi.set_source(
        _MODULE,
        _FIND_CFFI,
        define_macros=[("FOLDER", f'"{Path(_cffi_backend.__file__).parent}"')],
        library_dirs=[folder],
        runtime_library_dirs=[folder],
        extra_link_args=[f"-Wl,-soname,{LIBRARY}"],
    )
    begin = {"paths": _paths(), "module": _MODULE, "names": [*exports()]}
    ffi.embedding_init_code(_BEGIN.format(no_driver=int(Code.DRIVER_NOT_LOADED), **begin))
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        built = ffi.compile(tmpdir=scratch, target=LIBRARY)
        copyfile(built, directory / LIBRARY)
    linker_name = directory / LIBRARY.removesuffix(".1")
    linker_name.unlink(missing_ok=True)
    linker_name.symlink_to(LIBRARY)
    return directory / LIBRARY


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, and say where."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    chosen = parser.parse_args(arguments)
    try:
        sys.stdout.write(f"{build(chosen.output.absolute())}\n")
    except CannotBuild as error:
        parser.exit(1, f"{error}\n")


def _paths() -> list[str]:
    """Where the embedded interpreter, which knows no virtual environment, finds our imports."""
    return [path for path in sys.path if path]


if __name__ == "__main__":
    main()
