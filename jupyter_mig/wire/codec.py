"""Messages to JSON and back. What cannot be read becomes one clear line that names the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from jupyter_mig import errors
from jupyter_mig.wire.messages import ErrorBody

Message = TypeVar("Message")

_PLACE = re.compile(r" - at `\$\.?(?P<field>[^`]*)`$")
_QUOTING = str.maketrans("", "", "`'\"%")


def encode(message: object) -> bytes:
    """The message as JSON."""
    return msgspec.json.encode(message)


def decode(body: bytes, kind: type[Message]) -> Message:
    """The message in ``body``; raises BadRequest that says what is wrong, and where."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise errors.BadRequest(_sentence(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.BadRequest(f"The body is not JSON: {_plain(str(error))}") from None


def query(values: dict[str, str], kind: type[Message]) -> Message:
    """The message in a URL's query; raises BadRequest as :func:`decode` does."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise errors.BadRequest(_sentence(str(error))) from None


def body_of(error: errors.JupyterMigError) -> ErrorBody:
    """An error as it travels."""
    return ErrorBody(error.kind, error.message, error.situation, error.next_step)


def error_in(body: ErrorBody) -> errors.JupyterMigError:
    """The error that travelled as ``body``."""
    return errors.rebuild(body.kind, body.message, body.situation, body.next_step)


def _sentence(words: str) -> str:
    """``Expected `int`, got `str` - at `$.pid``` as ``Field pid: expected int, got str``."""
    found = _PLACE.search(words)
    if found is None or not found["field"]:
        return _plain(_PLACE.sub("", words))
    what = _plain(words[: found.start()])
    return f"Field {_plain(found['field'])}: {what[:1].lower()}{what[1:]}"


def _plain(words: str) -> str:
    """Without quotes and ``%``, which dialogs show badly, and in ASCII."""
    return words.translate(_QUOTING).encode("ascii", "replace").decode("ascii")
