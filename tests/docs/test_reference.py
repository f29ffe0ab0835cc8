"""The reference names everything that others can use: nothing is public and undocumented."""

import argparse
import importlib
import inspect
import pkgutil
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.web import Application, RequestHandler
from traitlets import HasTraits

import jupyter_mig
from jupyter_mig import errors, hub
from jupyter_mig.broker.door import openapi
from jupyter_mig.broker.door.calls import CALLS
from jupyter_mig.broker.door.door import Door
from jupyter_mig.broker.door.routes import OneUser
from jupyter_mig.broker.settings import Settings
from jupyter_mig.cli.main import parser
from jupyter_mig.server.handlers import HANDLERS

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted((ROOT / "jupyter_mig").rglob("*.py"))


def page(name: str) -> str:
    """Read one page of the reference."""
    return (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")


def named(text: str) -> set[str]:
    """Collect everything that a page sets in code type, outside of fenced blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", prose))


def configurable_traits() -> Iterator[str]:
    """Yield ``Class.trait`` for each trait of ours that a configuration file can set."""
    for info in pkgutil.walk_packages(jupyter_mig.__path__, "jupyter_mig."):
        if info.name.endswith(".__main__"):  # a program: importing it runs it
            continue
        for _, found in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if issubclass(found, HasTraits) and found.__module__ == info.name:
                yield from (
                    f"{found.__name__}.{name}" for name in found.class_own_traits(config=True)
                )


def commands(whole: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command, subcommands too, with its options."""
    options = []
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from commands(below, f"{name} {verb}")
        else:
            options += [option for option in action.option_strings if option.startswith("--")]
    yield name, [option for option in options if option != "--help"]


def section(text: str, heading: str) -> str:
    """Cut out what stands below one heading, up to the next one of any level."""
    found = re.search(
        rf"^##+ `{re.escape(heading)}`$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"no heading for `{heading}`"
    return found[1]


def requests(path: str, handler: type[RequestHandler]) -> Iterator[str]:
    """Yield ``METHOD /path`` for each method that the handler answers, ids as ``{}``."""
    plain = re.sub(r"\([^)]*\)", "{}", path.rstrip("$").removesuffix("/?"))
    for method in ("get", "head", "post", "put", "patch", "delete"):
        if getattr(handler, method) is not RequestHandler._unimplemented_method:
            yield f"{method.upper()} {plain}"


def door_requests() -> Iterator[str]:
    """Yield what the broker's door answers."""
    unopened: Any = types.SimpleNamespace(settings=Settings())
    closed = Door(unopened, driver=unopened, keys=unopened, audience=OneUser(0))
    application = closed._server.request_callback
    assert isinstance(application, Application)
    for rule in application.wildcard_router.rules:
        yield from requests(rule.matcher.regex.pattern, rule.target)  # type: ignore[attr-defined]  # a PathMatches


@pytest.mark.parametrize("error", errors.family(), ids=lambda error: error.__name__)
def test_each_error_is_explained(error: type[errors.JupyterMigError]) -> None:
    """The row of each error class gives its kind and the status it really has."""
    rows = [line for line in page("errors").splitlines() if f"`{error.__name__}`" in line]
    assert len(rows) == 1
    assert f"| `{error.kind}` | {error.status} |" in rows[0]


def test_each_trait_is_explained() -> None:
    """Whatever can be written into a Jupyter configuration file stands in the reference."""
    traits = set(configurable_traits())
    assert traits
    assert traits - named(page("configuration")) == set()


@pytest.mark.parametrize(("command", "options"), [*commands(parser(), "jupyter mig")])
def test_each_command_is_explained(command: str, options: list[str]) -> None:
    """Each command has a section of its own, and each of its options is named in it."""
    explained = {name.split()[0] for name in named(section(page("commands"), command))}
    assert set(options) - explained == set()


def test_each_environment_variable_is_explained() -> None:
    """Each variable whose name occurs in the source stands in the reference."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    variables = set(re.findall(r"\bJUPYTER_MIG_[A-Z_]*[A-Z]\b", source))
    assert variables
    assert variables - named(page("environment")) == set()


def test_each_name_of_the_package_is_explained() -> None:
    """What can be imported from the package itself, what the current slice tells, and what a
    JupyterHub's configuration may use.
    """
    fields = msgspec.structs.fields(jupyter_mig.CurrentSlice)
    public = {*jupyter_mig.__all__, *(field.name for field in fields), *hub.__all__}
    assert public - named(page("python")) == set()


def test_each_request_is_explained() -> None:
    """Each method of each path, on the broker's door and on the server's, has its row."""
    answered = {request for path, handler in HANDLERS for request in requests(path, handler)}
    answered = {request.replace(" ", " /jupyter-mig/") for request in answered}
    answered |= set(door_requests())
    explained = {re.sub(r"\{\w+\}", "{}", name) for name in named(page("doors"))}
    assert len(answered) > len(HANDLERS)
    assert answered - explained == set()


def test_the_openapi_document_describes_each_request() -> None:
    """Each method of each path of the broker's door, and nothing that it does not answer."""
    described = {re.sub(r"\{\w+\}", "{}", request) for request in CALLS}
    assert described == set(door_requests())


def test_the_openapi_document_is_up_to_date() -> None:
    """What is checked in is what a broker serves (``make openapi`` rewrites it)."""
    assert (ROOT / "docs" / "reference" / "openapi.json").read_bytes() == openapi.written()


def test_the_openapi_document_names_each_error_of_a_door() -> None:
    """All kinds but those that a broker never answers: it is not there, or does not start."""
    text = openapi.written().decode()
    missing = {error.kind for error in errors.family() if f'"{error.kind}"' not in text}
    starting = {
        *("malformed-spec", "unknown-driver", "broker-start-failed", "bad-place"),
        "claimed-elsewhere",
    }
    assert missing == {"broker-error", "log-error"} | starting
