"""Every Jupyter kernel gets its own NVIDIA MIG slice.

This module holds the version and the pointer by which Jupyter Server finds the extension.
Importing it loads neither tornado, traitlets nor pynvml: kernels, plots of other packages and
command-line tools may import it for the version alone.
"""

__version__ = "0.1.0"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Name the server extension's module; Jupyter Server imports it when it loads extensions."""
    return [{"module": "jupyter_mig.server"}]
