"""Write the OpenAPI document of the broker's door into the reference.

python tools/openapi.py
"""

from __future__ import annotations

from pathlib import Path

from jupyter_mig.broker.door import openapi

PLACE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "openapi.json"

if __name__ == "__main__":
    PLACE.write_bytes(openapi.written())
