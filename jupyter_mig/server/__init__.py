"""The Jupyter Server extension: sized kernels in the picker, and a REST door for front ends."""

from jupyter_mig.server.extension import (
    _link_jupyter_server_extension,
    _load_jupyter_server_extension,
)

__all__ = ["_link_jupyter_server_extension", "_load_jupyter_server_extension"]
