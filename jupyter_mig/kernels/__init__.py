"""Everything that starts a kernel: the provisioner and the kernelspecs that lead to it."""
