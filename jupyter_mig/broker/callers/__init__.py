"""Who asks: the kernel says who a peer is, and what each may take of the door."""
