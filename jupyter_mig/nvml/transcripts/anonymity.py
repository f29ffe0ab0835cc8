"""A transcript without what names a machine. The same name gets the same replacement throughout."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from .transcript import Transcript

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_PCI = r"\b[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]\b"
_SERIAL = "nvmlDeviceGetSerial"


def anonymous(transcript: Transcript, host: str = "") -> Transcript:
    """With other UUIDs and PCI addresses, and without serial numbers and the host's name."""
    names = [*_serials(transcript), *([host] if host else [])]
    masks = Masks(names)
    calls = tuple(
        msgspec.structs.replace(
            call,
            given=tuple(masks.over(one) for one in call.given),
            told={index: masks.over(one) for index, one in call.told.items()},
        )
        for call in transcript.calls
    )
    return msgspec.structs.replace(transcript, calls=calls)


class Masks:
    """What stands for what. ``names`` are words to hide beside UUIDs and PCI addresses."""

    def __init__(self, names: list[str]) -> None:
        words = "|".join(rf"\b{re.escape(name)}\b" for name in names) or r"(?!)"
        self._pattern = re.compile(f"(?P<uuid>{_UUID})|(?P<pci>{_PCI})|(?P<name>{words})")
        self._known: dict[str, str] = {}

    def over(self, value: Any) -> Any:
        """The value, whatever it is made of, with its texts masked."""
        if isinstance(value, str):
            return self._pattern.sub(self._mask, value)
        if isinstance(value, list | tuple):
            return [self.over(one) for one in value]
        if isinstance(value, dict):
            return {key: self.over(one) for key, one in value.items()}
        return value

    def _mask(self, found: re.Match[str]) -> str:
        number = len(self._known) + 1
        masks = {
            "uuid": f"00000000-0000-4000-8000-{number:012x}",
            "pci": f"00000000:{number:02X}:00.0",
            "name": f"NAME-{number}",
        }
        return self._known.setdefault(found[0].lower(), masks[str(found.lastgroup)])


def _serials(transcript: Transcript) -> list[str]:
    return sorted(
        {
            value
            for call in transcript.calls
            if call.name == _SERIAL
            for value in call.told.values()
            if isinstance(value, str) and value
        }
    )
