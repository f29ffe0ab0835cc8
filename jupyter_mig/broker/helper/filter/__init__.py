"""A device filter for cgroups (bpf(2), ``BPF_PROG_TYPE_CGROUP_DEVICE``; cgroup version 2).

The kernel asks it whenever a process below a cgroup opens a device. It lets only those cgroups open
the nodes of a slice that were let in, whoever owns a node or may ignore that.
"""
