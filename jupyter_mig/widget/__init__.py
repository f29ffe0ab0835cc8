"""The slice of this process, for programs (``current_slice``) and for people (``SliceMonitor``).

Runs where notebooks run: in the kernel. So it asks nothing of the kernel's environment but
msgspec, and ipywidgets for the monitor; it reads the broker's socket itself, with the read-only
key that the kernel was given; and it starts nothing.
"""
