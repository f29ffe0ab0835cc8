"""Who else manages GPUs on this node: Slurm, a kubelet's plugin, NVIDIA's mig-manager.

Two that hand out the same GPU give it to two people; two that cut it destroy each other's slices.
So what one of them has is not the broker's. What each has is read from its files, below a root that
is a parameter; where a file names GPUs those are its, where it does not, or is unreadable, all are.
"""
