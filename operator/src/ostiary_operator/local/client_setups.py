"""How to connect each MCP client to an endpoint, as texts to paste.

The texts stand in `client_setups.yaml`; `docs/clients.md` shows the same. A credential never stands in them: they name
an environment variable, or the client asks for it.
"""

import enum
import functools
import json
import re
import shlex
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, NamedTuple

import yaml

from ostiary_operator.local.governed_proxy import GovernedProxy

_HEADER: Final = "Authorization"
_SCHEME: Final = "Bearer"
_EXAMPLE_KEY: Final = "the-key"


class CallerCredential(enum.StrEnum):
    """What a client sends to show who it is."""

    NONE = "None"
    KEY = "Key"
    """An API key, or an access token that the user has."""
    OAUTH = "OAuth"
    """A token that the client gets itself from the authorization server."""


class Language(enum.StrEnum):
    """What a text is written in."""

    JSON = "json"
    SHELL = "shell"
    PYTHON = "python"


class ConnectedEndpoint(NamedTuple):
    """What a client connects to.

    ``name`` is what the client calls it. ``header`` carries a key, after ``scheme``, which is empty where the value is
    the key alone.
    """

    name: str
    url: str
    header: str = _HEADER
    scheme: str = _SCHEME

    @property
    def variable(self) -> str:
        """The environment variable that holds the key."""
        words = re.sub("[^A-Z0-9]+", "_", self.name.upper()).strip("_")
        return f"{words}_KEY" if words[:1].isalpha() else f"MCP_{words}_KEY"


@dataclass(frozen=True, slots=True)
class ClientWay:
    """One way to connect a client: where the text goes, and the text."""

    credential: CallerCredential
    place: str
    language: Language
    text: str


@dataclass(frozen=True, slots=True)
class ClientSetup:
    """The ways to connect one client, and what else there is to know."""

    client: str
    ways: tuple[ClientWay, ...]
    notes: tuple[str, ...]


def setups(endpoint: ConnectedEndpoint, credentials: frozenset[CallerCredential]) -> tuple[ClientSetup, ...]:
    """Return how to connect each client, with the credentials that its callers can have."""
    return tuple(_setup(each, endpoint, credentials) for each in _templates())


def credentials_of(proxy: GovernedProxy) -> frozenset[CallerCredential]:
    """Return the credentials that callers of a proxy can have."""
    methods = list(proxy.authentication.values())
    found = (
        {CallerCredential.NONE} if proxy.admits_anonymous and not any(each.passthrough for each in methods) else set()
    )
    if any(each.api_keys for each in methods):
        found.add(CallerCredential.KEY)
    if any(each.issuers or each.introspection or each.passthrough for each in methods):
        found |= {CallerCredential.OAUTH, CallerCredential.KEY}
    return frozenset(found)


def endpoint_of(proxy: GovernedProxy, url: str) -> ConnectedEndpoint:
    """Return what clients connect to, with the header in which the gateway reads keys."""
    keys = next((each.api_keys for each in proxy.authentication.values() if each.api_keys is not None), None)
    if keys is None:
        return ConnectedEndpoint(proxy.entry.name, url)
    return ConnectedEndpoint(proxy.entry.name, url, keys.header.title(), keys.scheme or "")


@functools.cache
def _templates() -> tuple[dict[str, Any], ...]:
    text = resources.files(__package__).joinpath("client_setups.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text))


def _setup(
    template: dict[str, Any], endpoint: ConnectedEndpoint, credentials: frozenset[CallerCredential]
) -> ClientSetup:
    ways = tuple(
        ClientWay(credential, way["place"], Language(way["language"]), _filled(way, endpoint))
        for credential in CallerCredential
        for way in template["ways"]
        if credential in credentials and credential.value in map(str, way["credentials"])
    )
    notes = template.get("notes", {})
    return ClientSetup(template["client"], ways, tuple(notes[str(key)] for key in notes if str(key) in credentials))


def _filled(way: dict[str, Any], endpoint: ConnectedEndpoint) -> str:
    """Return a text with the endpoint in it; nothing of it can end a string or begin a command."""
    quote = shlex.quote if way["language"] == Language.SHELL else json.dumps
    values = {
        "name": quote(endpoint.name),
        "url": quote(endpoint.url),
        "header": quote(endpoint.header),
        "header-name": endpoint.header,
        "before": f"{endpoint.scheme} " if endpoint.scheme else "",
        "variable": endpoint.variable,
        "example-key": _EXAMPLE_KEY,
    }
    return re.sub("«([a-z-]+)»", lambda found: values[found[1]], way["text"])
