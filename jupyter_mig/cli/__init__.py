"""``jupyter mig …``: look at the node, at what is held, and give it back.

One file a verb (status, sizes, leases, release, kernels, demo); what they share is pure and
stands in files named for it: measures, cells, table, drawing.
"""
