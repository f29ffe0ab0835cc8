"""An OpenAPI 3.1 description of the door, made of :mod:`.calls` and the types on the wire.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec

from jupyter_mig.broker.door.calls import CALLS, LEASE_ID, Call
from jupyter_mig.broker.door.routes import Route
from jupyter_mig.wire.messages import PROTOCOL, ErrorBody

Json: TypeAlias = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
_JSON = "application/json"
_PARAMETER = re.compile(r"\{(\w+)\}")
_GUARDS: Json = {
    "hubToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "On TCP: a token of the JupyterHub. On the Unix socket the kernel says who "
        "asks, and nothing is needed.",
    },
    "leaseKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "The key of the lease that the query names.",
    },
}
_ABOUT = """
What a broker of jupyter_mig answers on its Unix socket (`curl --unix-socket`), and, if it is one
for all users of a node, on TCP for users of a JupyterHub. Paths below `/v1/admin` are for
administrators, on the node itself. Ignore fields of answers that are not described here: newer
brokers may have more. An answer is held back for at most 60 s."""


def document() -> Json:
    """The whole description."""
    kinds = {kind for call in CALLS.values() for kind in (call.answer, call.body) if kind}
    ordered = [ErrorBody, *sorted(kinds, key=str)]
    _, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "jupyter_mig: the broker's door",
            "version": f"{PROTOCOL}",
            "description": " ".join(_ABOUT.split()),
        },
        "servers": [{"url": "/", "description": "The broker's Unix socket, or its TCP port."}],
        "security": [{}, {"hubToken": []}],
        "paths": _paths(),
        "components": {
            "schemas": _portable(dict(sorted(components.items()))),
            "responses": _all_failures(),
            "securitySchemes": _GUARDS,
        },
    }


@cache
def written() -> bytes:
    """The document as the file that is checked in."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1) + b"\n"


def _paths() -> Json:
    paths: defaultdict[str, Json] = defaultdict(dict)
    for request, call in CALLS.items():
        method, path = request.split()
        paths[path][method.lower()] = _operation(path, call)
    return dict(paths)


def _operation(path: str, call: Call) -> Json:
    said: Json = {
        "operationId": call.name,
        "summary": call.words,
        "parameters": [*_in_path(path), *_in_query(call)],
        "responses": {"200": _success(call), **_failures(call)},
    }
    if call.body is not None:
        required = call.body_required
        said["requestBody"] = {"required": required, "content": _content(_schema(call.body))}
    if call.with_key:
        said["security"] = [{"leaseKey": []}]
    return {name: value for name, value in said.items() if value}


def _in_path(path: str) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9A-Za-z_-]+$"},
        }
        for name in _PARAMETER.findall(path)
    ]


def _in_query(call: Call) -> list[Json]:
    if call.query is None:
        return []
    schema = _portable(msgspec.json.schema_components([call.query])[1][call.query.__name__])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": wanted,
        }
        for name, wanted in schema["properties"].items()
    ]


def _success(call: Call) -> Json:
    """The answer; one that is a new lease says what can be done with it next."""
    said: Json = {"description": "The answer.", "content": _content(_schema(call.answer))}
    if call.name == "ask":
        said["links"] = {
            other.name: {
                "operationId": other.name,
                "parameters": {LEASE_ID: f"$response.body#/{LEASE_ID}"},
            }
            for request, other in CALLS.items()
            if f"/leases/{{{LEASE_ID}}}" in request
        }
    return said


def _failures(call: Call) -> Json:
    """The errors of a call, by their status."""
    return {
        f"{status}": {"$ref": f"#/components/responses/{_name(status, kinds)}"}
        for status, kinds in _kinds(call).items()
    }


def _all_failures() -> Json:
    """Each once: many calls fail alike."""
    found = {
        (status, tuple(kinds)) for call in CALLS.values() for status, kinds in _kinds(call).items()
    }
    return {_name(status, kinds): _failure(status, kinds) for status, kinds in sorted(found)}


def _kinds(call: Call) -> dict[int, list[str]]:
    kinds: defaultdict[int, set[str]] = defaultdict(set)
    for error in call.errors:
        kinds[error.status].add(error.kind)
    return {status: sorted(kinds[status]) for status in sorted(kinds)}


def _name(status: int, kinds: Sequence[str]) -> str:
    return f"{status}.{'.'.join(kinds)}"


def _failure(status: int, kinds: Sequence[str]) -> Json:
    known = {"properties": {"kind": {"enum": list(kinds)}}}
    schema = {"allOf": [{"$ref": _REFERENCE.format(name=ErrorBody.__name__)}, known]}
    return {"description": HTTPStatus(status).phrase, "content": _content(schema)}


def _schema(kind: Any) -> Json:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    return schema


def _content(schema: Json) -> Json:
    return {_JSON: {"schema": schema}}


def _portable(schema: Any) -> Any:
    """Python's words for what JSON Schema says in others: texts indented, patterns that end."""
    if isinstance(schema, Mapping):
        return {name: _portable(_reworded(name, value)) for name, value in schema.items()}
    if isinstance(schema, list | tuple):
        return [_portable(each) for each in schema]
    return schema


def _reworded(name: str, value: Any) -> Any:
    if name == "description" and isinstance(value, str):
        return " ".join(inspect.cleandoc(value).replace("``", "`").split())
    if name == "pattern" and isinstance(value, str):
        return value.replace(r"\Z", "$")  # ECMA 262's $ is the end, not the last line's
    return value


class OpenapiRoute(Route):
    """``/v1/openapi.json``: this description."""

    def get(self) -> None:
        """All of it."""
        self.finish(written())
