"""A broker on another machine, or outside our container: by TCP, with the token of a JupyterHub."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from tornado.httpclient import HTTPError
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import (
    HTTPStreamClosedError,
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)

from jupyter_mig import errors
from jupyter_mig.client import connection
from jupyter_mig.client.connection import Answer, Gone, Question

URL_VARIABLE = "JUPYTER_MIG_URL"
TOKEN_FILE_VARIABLE = "JUPYTER_MIG_TOKEN_FILE"  # noqa: S105 - a name
HUB_TOKEN_VARIABLE = "JUPYTERHUB_API_TOKEN"  # noqa: S105 - a name


class Remote(msgspec.Struct, frozen=True):
    """Where the broker is, and what is shown to it: what is in the file, read anew each time, or
    else the token.
    """

    url: str
    token_file: Path | None = None
    token: str = ""

    def __repr__(self) -> str:
        return f"Remote({self.url!r})"  # the token is nobody's business

    def bearer(self) -> str:
        """The token now; raises MalformedSpec if there is none."""
        try:
            token = self.token_file.read_text("ascii").strip() if self.token_file else self.token
        except (OSError, ValueError) as error:
            raise _malformed(f"{TOKEN_FILE_VARIABLE}: {error}".replace("'", "")) from error
        if not token or not token.isprintable():
            raise _malformed("There is no token to show to it.")
        return token


def named(environ: Mapping[str, str]) -> Remote | None:
    """The broker that the environment names by URL, if it does; raises MalformedSpec if that URL
    cannot be used.
    """
    url = environ.get(URL_VARIABLE)
    if not url:
        return None
    _require_safe(url)
    file = environ.get(TOKEN_FILE_VARIABLE)
    return Remote(
        url.rstrip("/"), Path(file) if file else None, environ.get(HUB_TOKEN_VARIABLE, "")
    )


def _require_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _malformed(f"{url} is no http or https URL.")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise _malformed(f"{url} would show the token to the network: use https.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _malformed(situation: str) -> errors.MalformedSpec:
    return errors.MalformedSpec(
        "The broker that JUPYTER_MIG_URL names cannot be used.",
        situation=situation,
        next_step="Set JUPYTER_MIG_URL, and JUPYTER_MIG_TOKEN_FILE if JupyterHub gave no token.",
    )


async def ask(remote: Remote, question: Question) -> Answer:
    """Ask it. Raises Gone, or BrokerUnreachable if it listens but does not answer."""
    client = SimpleAsyncHTTPClient(force_instance=True)
    bearer = {"Authorization": f"Bearer {remote.bearer()}"}
    request = connection.request(remote.url, question, bearer)
    try:
        response = await connection.patiently(client.fetch(request, raise_error=False))
    except ssl.SSLError as error:
        raise _unreachable(remote, str(error)) from error
    except (HTTPStreamClosedError, StreamClosedError, ConnectionError) as error:
        raise Gone(str(error)) from error
    except (HTTPTimeoutError, HTTPError, OSError) as error:
        raise _unreachable(remote, str(error)) from error
    finally:
        client.close()
    return Answer(response.code, response.body, os.getpid())


def _unreachable(remote: Remote, problem: str) -> errors.BrokerUnreachable:
    return errors.BrokerUnreachable(
        "The broker cannot be talked to.",
        situation=f"{remote.url}: {problem}".replace("'", ""),
    )
