"""The small part of a system broker that runs as root: it cuts GPUs and gives their device nodes
to users, on the word of the broker, which does not.
"""
