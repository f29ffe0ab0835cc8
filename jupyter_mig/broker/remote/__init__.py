"""The TCP door of a system broker: for users of a JupyterHub whose servers run in containers or on
other machines, where the kernel cannot tell who asks.

The Hub tells, by the token that comes in the Authorization header. Nothing else identifies, and
nobody is an administrator here.
"""
