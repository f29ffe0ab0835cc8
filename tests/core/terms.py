"""Rules for random histories: those of every day, and some under which more happens."""

from __future__ import annotations

from jupyter_mig.core.rules import Rules

ORDINARY = Rules(names={"small": "1g.5gb"})
HASTY = Rules(
    names={"small": "1g.5gb"},
    condemn_after=5.0,
    condemn_failures=2,
    create_attempts=2,
    overtake=4.0,
    remembered=3,
    warm=60.0,
)
POOLED = Rules(
    names={"small": "1g.5gb"},
    pools={"small": 2, "2g.10gb": 1, "2g.12gb": 1, "9g.99gb": 1},
    create_attempts=2,
    overtake=4.0,
    warm=20.0,
)

ANOTHER = Rules(overtake=1.0, warm=5.0, bind_grace=1.0, rebind_grace=1.0, remembered=1)
"""Those of another version, or another configuration: no replay goes by them."""
