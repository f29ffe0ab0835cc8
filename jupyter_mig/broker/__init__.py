"""The broker: the one process that owns a user's slices on a node.

Theory of operation
===================

1. One ledger (:mod:`jupyter_mig.core.ledger`) on one event loop. Whatever happens becomes an event
   and stands in line in :class:`.service.Service`; a batch is written to the log (:mod:`.memory`)
   in one commit, then handled, then its actions are carried out.
2. Driver calls run on one thread per GPU, in order (:mod:`.hardware`); each comes back as exactly
   one event.
3. Leases hang on processes, watched through pidfds (:mod:`.holders`).
4. People come through the :mod:`.door`: HTTP on a Unix socket, and, for containers and other
   machines, on TCP (:mod:`.remote`). The kernel or the Hub says who they are (:mod:`.callers`).
5. The process (:mod:`.agent`, or, for all users of a node, :mod:`.system` with its privileged
   :mod:`.helper`) may be killed at any point: the next one replays the log, looks at the hardware
   and goes on.

The folders import each other one way only; setup.cfg has the order, and the checks hold it.
"""
