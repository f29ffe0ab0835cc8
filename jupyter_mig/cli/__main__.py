"""``python -m jupyter_mig.cli`` is ``jupyter mig``."""

from __future__ import annotations

import sys

from jupyter_mig.cli.main import main

sys.exit(main())
