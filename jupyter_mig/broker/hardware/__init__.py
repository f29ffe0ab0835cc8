"""The ledger's actions on GPUs, and where the slices of a GPU come from."""
