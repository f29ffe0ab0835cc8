"""The broker's own timings and limits. The ledger's are :class:`jupyter_mig.core.rules.Rules`."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """In seconds unless said otherwise.

    ``idle``: how long an agent without leases and connections stays.
    ``observe``: how often every GPU is looked at even if nothing happens.
    ``observe_waiting``: how often while somebody waits; other brokers may have let go of something.
    ``look_out``: how often it is looked who else manages GPUs; 0 is never.
    ``write_retry``: how soon an unwritable log is tried again.
    ``stop``: how long a broker that was told to end waits for driver calls under way.
    ``last_answers``: how long it goes on answering those who had come by then.
    ``request``: how long a request may take to arrive.
    ``longest_wait``: how long an answer may be held back, whatever the asker says.
    ``keep_reading``: how often slices are read while a lease is held and nobody looks; 0 is never.
    ``dcgm_exporter``: the address of a dcgm-exporter, for the utilization of slices that NVML
    cannot tell; empty where there is none (no seconds).
    ``silence``: how long a holder that is known by its heartbeats may be silent.
    ``longest_silence``: how long at the most if it asks for that.
    ``most_leases``: how many leases one user may have, waiting ones too (a count).
    ``history_days``: how long the annals of a node are kept, in days; 0 is for ever.
    ``snapshot_every``: after how many events the log is shortened (a count).
    """

    idle: float = 60.0
    observe: float = 30.0
    observe_waiting: float = 2.0
    look_out: float = 60.0
    write_retry: float = 1.0
    stop: float = 10.0
    last_answers: float = 1.0
    request: float = 30.0
    longest_wait: float = 60.0
    keep_reading: float = 15.0
    dcgm_exporter: str = ""
    silence: float = 60.0
    longest_silence: float = 60.0
    most_leases: int = 2000
    history_days: float = 400.0
    snapshot_every: int = 1000
