"""The protocol revisions of a server behind a proxy, as far as its responses show.

An error about an unsupported revision lists the supported ones, and clients choose from that list (specification,
Protocol Version Negotiation). The gateway's own revisions are only the upper bound: a server behind the proxy may
support fewer. Its responses to ``server/discover`` and ``initialize`` show which, and so do its errors. A revision that
no response has mentioned yet counts as supported.

Nothing is ever refused because of what is remembered here: it may be old, and the next response replaces it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Method
from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS, MODERN, MODERN_REVISIONS, Era
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.decode import UnsupportedRevisionError
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.upstream.server import UpstreamServer

#: The methods whose responses show what a server supports.
TEACHING: Final = frozenset({"server/discover", "initialize"})
#: The errors of handshake-era servers to server/discover; -32000 is that of the TypeScript SDK.
_NO_DISCOVER: Final = frozenset({codes.METHOD_NOT_FOUND, codes.INVALID_REQUEST, -32000})
_ALL: Final = MODERN_REVISIONS | LEGACY_REVISIONS

#: For each server, whether it supports each of our revisions.
_KNOWN: Final[WeakKeyDictionary[UpstreamServer, dict[str, bool]]] = WeakKeyDictionary()


def learn(exchange: Exchange, message: Mapping[str, Any]) -> None:
    """Remember which revisions a response shows its server to support."""
    request = exchange.message
    if request is None or request.method is None or exchange.leg is None:
        return
    if "error" in message or request.method.name in TEACHING:
        learn_of(exchange.leg.server, request.method, request.params, message)


def learn_of(server: UpstreamServer, method: Method, params: Mapping[str, Any], message: Mapping[str, Any]) -> None:
    """Remember which revisions the response to a request shows a server to support."""
    verdicts = _verdicts(method, params, message)
    if verdicts:
        known = _KNOWN.setdefault(server, {})
        known.update(verdicts)
        server.revision = max((each for each, is_supported in known.items() if is_supported), default=None)


def supported(server: UpstreamServer, era: Era) -> list[str]:
    """Return the revisions that a server supports through this gateway, newest first.

    For a message with an envelope they are those with an envelope, where the server supports some, as
    ``server/discover`` lists them. A server that claims to support none of ours is not believed: clients choose from
    the list.
    """
    known = _KNOWN.get(server, {})
    # One without a handshake is supported in any case: the gateway bridges to a server that supports none.
    offered = [revision for revision in _ALL if revision in MODERN_REVISIONS or known.get(revision, True)]
    if era is MODERN:
        offered = [revision for revision in MODERN_REVISIONS if known.get(revision)] or offered
    return sorted(offered or _ALL, reverse=True)


def name_supported(refusal: Refusal, servers: Sequence[UpstreamServer]) -> None:
    """Write the revisions supported behind this proxy into a refusal of a revision.

    Leave other refusals unchanged. Where there are several servers the gateway answers for them, and supports its own
    revisions: of a message with an envelope those with one, as its ``server/discover`` lists them.
    """
    if not isinstance(refusal, UnsupportedRevisionError) or refusal.data is None:
        return
    if len(servers) == 1:
        refusal.data["supported"] = supported(servers[0], refusal.era)
    elif refusal.era is MODERN:
        refusal.data["supported"] = sorted(MODERN_REVISIONS, reverse=True)


def _verdicts(method: Method, params: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, bool]:
    result, error = message.get("result"), message.get("error")
    if isinstance(error, dict):
        return _of_error(method, error)
    if not isinstance(result, dict):
        return {}
    if method.name == "initialize":
        return _of_handshake(params.get("protocolVersion"), result.get("protocolVersion"))
    return _of_list(result.get("supportedVersions"))


def _of_handshake(asked: Any, answered: Any) -> dict[str, bool]:
    """Read a response to initialize.

    A server that names another revision supports neither the requested one nor any newer than its own, since it offers
    its newest.
    """
    if not isinstance(answered, str) or answered not in LEGACY_REVISIONS:
        return {}
    if asked is None or asked == answered:
        return {answered: True}
    newer = {revision: False for revision in LEGACY_REVISIONS if revision > answered}
    return {**newer, asked: False, answered: True}


def _of_error(method: Method, error: Mapping[str, Any]) -> dict[str, bool]:
    if error.get("code") == codes.UNSUPPORTED_PROTOCOL_VERSION:
        data = error.get("data")
        return _of_list(data.get("supported") if isinstance(data, dict) else None)
    if method.name == "server/discover" and error.get("code") in _NO_DISCOVER:
        return dict.fromkeys(MODERN_REVISIONS, False)  # every server of that era has this method
    return {}


def _of_list(revisions: Any) -> dict[str, bool]:
    """Read a list of revisions.

    A list without legacy revisions says nothing about those, since some servers list only modern ones.
    """
    if not isinstance(revisions, list):
        return {}
    named = {revision for revision in revisions if isinstance(revision, str)}
    return {revision: revision in named for revision in _covered_by(named)}


def _covered_by(named: Collection[str]) -> frozenset[str]:
    return MODERN_REVISIONS if LEGACY_REVISIONS.isdisjoint(named) else _ALL
