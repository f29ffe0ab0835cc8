"""The timings and names the ledger goes by. They come with a broker and are kept in its log: the
same events under the same rules give the same actions.
"""

from __future__ import annotations

import msgspec


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All in seconds unless said otherwise.

    ``rebind_grace``: how long a lease outlives its kernel while the server lives (restarts).
    ``return_grace``: how long, at the least, after a broker came back. Time without a broker
    does not count, but no more than that is added: one that is killed again and again must not
    keep a lease for ever.
    ``bind_grace``: how long a granted slice may stay without a kernel.
    ``warm``: how long an emptied instance is kept for the same user; 0 destroys at once.
    ``park``: how long room is kept for a resize or for an eviction under way.
    ``park_longest``: how long at the most without a break, however often a resize is asked for.
    ``overtake``: how long smaller requests may pass a blocked one at the head of the queue.
    ``term_grace``: between TERM and KILL of processes left on a slice.
    ``condemn_after``: how long a slice may refuse to empty before it is condemned.
    ``condemn_failures``: how many destroys may fail before the instance is condemned (a count).
    ``retry_first`` / ``retry_last``: the back-off of retried driver calls, doubling between them.
    ``create_attempts``: how many creations may fail before the request is refused (a count).
    ``failed_patience``: how much longer a request may wait because a creation failed under it or
    because warm instances make way for it.
    ``remembered``: how many ended leases are remembered (a count).
    ``names``: the administrator's names for sizes.
    ``pools``: how many of a size are kept ready for anybody (counts).
    """

    rebind_grace: float = 30.0
    return_grace: float = 2.0
    bind_grace: float = 60.0
    warm: float = 0.0
    park: float = 120.0
    park_longest: float = 600.0
    overtake: float = 300.0
    term_grace: float = 3.0
    condemn_after: float = 30.0
    condemn_failures: int = 5
    retry_first: float = 0.2
    retry_last: float = 30.0
    create_attempts: int = 5
    failed_patience: float = 10.0
    remembered: int = 256
    names: dict[str, str] = {}
    pools: dict[str, int] = {}

    def backoff(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.retry_first * 2.0 ** max(failures - 1, 0), self.retry_last)
