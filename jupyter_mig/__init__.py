"""Every Jupyter kernel gets its own NVIDIA MIG slice.

For notebooks and programs that run on a slice::

    from jupyter_mig import SliceMonitor, current_slice

Beside these, this module holds the version and the pointer by which Jupyter Server finds the
extension. Importing it loads neither tornado, traitlets nor pynvml: kernels, plots of other
packages and command-line tools may import it for the version alone.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the time that importing typing takes
if TYPE_CHECKING:
    from jupyter_mig.widget.current import CurrentSlice, current_slice
    from jupyter_mig.widget.monitor import SliceMonitor
else:
    _HOMES = {
        "CurrentSlice": "jupyter_mig.widget.current",
        "SliceMonitor": "jupyter_mig.widget.monitor",
        "current_slice": "jupyter_mig.widget.current",
    }

    def __getattr__(name: str) -> object:
        """Load what is asked for, and only then. Called by Python for names not there yet."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)


__all__ = ["CurrentSlice", "SliceMonitor", "current_slice"]

__version__ = "0.1.0"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Name the server extension's module; Jupyter Server imports it when it loads extensions."""
    return [{"module": "jupyter_mig.server"}]
