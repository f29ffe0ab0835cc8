"""The pure core: sizes, geometry, occupancy, placement, leases, and the ledger that joins them.

No input or output, no clock, no environment, no threads: events in, actions out. The theory of
operation stands at the top of :mod:`jupyter_mig.core.ledger`.
"""
