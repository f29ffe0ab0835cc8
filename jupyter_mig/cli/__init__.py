"""``jupyter mig …``: look at the node and at what is held, run commands on slices, give them back.

One file or folder a verb; what they share is pure and
stands in files named for it: measures, cells, table, drawing.
"""
