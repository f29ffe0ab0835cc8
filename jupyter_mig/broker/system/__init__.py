"""One broker for all users of a node: its configuration, and its two processes."""
