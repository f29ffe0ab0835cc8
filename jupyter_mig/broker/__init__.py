"""The broker: the one process that owns a user's slices on a node.

Theory of operation
===================

1. One ledger (:mod:`jupyter_mig.core.ledger`) on one event loop. Whatever happens becomes an event
   and stands in line in :class:`.service.Service`; a batch is written to the log in one commit,
   then handled, then its actions are carried out.
2. Driver calls run on one thread per GPU, in order (:mod:`.lanes`); each comes back as exactly one
   event (:mod:`.hardware`).
3. Leases hang on processes, watched through pidfds (:mod:`.holders`).
4. People come through the door (:mod:`.door`): HTTP on a Unix socket; who they are, the kernel
   says (:mod:`.peer`).
5. The process (:mod:`.agent`) may be killed at any point: the next one replays the log, looks at
   the hardware and goes on.
"""
