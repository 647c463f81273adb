"""Who am I: tells a caller who it is to the gateway, and which names it may use.

A request goes to the endpoint of a proxy with ``/whoami`` after it. It passes the same stages as every other request,
so it is authenticated by the same methods and counts in the same limits. A caller learns only about itself: no claims,
policies and rules, and no names that its own lists do not show.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.name_access import visible_access
from ostiary_core.policy.principal import Principal
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.media_types import JSON
from ostiary_gateway.pipeline.body import body_at_hand, check_head, read_body
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import LARGE_MESSAGES, LIGHT_BYTES, Steps, in_slices
from ostiary_gateway.server.host_name import host_name
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

#: No endpoint ends with it: all end with ``/mcp``.
_SUFFIX: Final = "/whoami"
#: The most bytes of a body: a text of this size is parsed at once.
_LIMIT: Final = LIGHT_BYTES
#: The cost of judging all names of a request, in decisions at the limit of their cost.
_DECISIONS: Final = 4
_METHODS: Final = frozenset({"GET", "POST"})
_HEADERS: Final = {"Content-Type": JSON, "Cache-Control": "no-store"}


def exchange_for(request: Request, snapshot: Snapshot) -> Exchange | None:
    """Return the exchange of a caller that asks who it is; None for any other request.

    The target is compared as it was sent, and has no query.
    """
    target = request.target
    endpoint = target.removesuffix(_SUFFIX)
    proxy = snapshot.at_endpoint(host_name(request.headers.get("host", "")), endpoint)
    if request.method not in _METHODS or proxy is None or target != proxy.endpoint + _SUFFIX:
        return None
    return Exchange(request, snapshot, proxy, is_whoami=True)


async def read_names(exchange: Exchange) -> bool:
    """Read the names that a caller asks about; return whether the body had to be awaited.

    Raises:
        Refusal: as for the body of a message, and 400 for one of another shape.
    """
    if exchange.request.method == "GET":
        return False
    check_head(exchange.request)
    body = body_at_hand(exchange, limit=_LIMIT)
    is_awaited = body is None
    exchange.asked_names = _names(body if body is not None else await read_body(exchange, limit=_LIMIT))
    return is_awaited


async def answer(exchange: Exchange) -> Response:
    """Return the response. Many names are judged in slices, in the turn of the proxy.

    Raises:
        Refusal: 413 for names that cost too much to judge.
    """
    found: dict[str, Any] = {"principal": _described(exchange.principal)}
    if exchange.asked_names is not None:
        async with LARGE_MESSAGES.turn(exchange.proxy.uid):
            found["access"] = await in_slices(_access(exchange, exchange.asked_names))
    return Response(200, strict_json.dumps(found), _HEADERS)


def _described(principal: Principal) -> dict[str, Any]:
    expires = principal.expires_at
    return {
        "id": principal.id,
        "method": principal.method,
        "authenticated": principal.authenticated,
        "consumer": principal.consumer,
        "groups": sorted(principal.groups),
        "scopes": sorted(principal.scopes),
        "expiresAt": _time(expires) if expires is not None else None,
    }


def _time(seconds: float) -> str | None:
    """Return a time as RFC 3339 writes it, None for one beyond the calendar."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def _names(body: bytes) -> dict[Primitive, list[str]]:
    try:
        value = strict_json.loads(body)
    except StrictJSONError:
        raise _malformed() from None
    if not isinstance(value, Mapping) or not set(value) <= set(Primitive):
        raise _malformed()
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in value.values()):
        raise _malformed()
    return {primitive: value[primitive] for primitive in Primitive if primitive in value}


def _malformed() -> Refusal:
    words = 'The body must be a JSON object such as {"tools": ["read_ticket"], "resources": [], "prompts": []}'
    return Refusal(400, "InvalidNames", words)


def _access(exchange: Exchange, named: Mapping[Primitive, list[str]]) -> Steps[dict[str, dict[str, str]]]:
    view = exchange.visibility
    if not all(view.costs_at_most(_DECISIONS, primitive, names) for primitive, names in named.items()):
        raise Refusal(413, "TooManyNames", "These names are too many to judge at once: send fewer")
    found: dict[str, dict[str, str]] = {}
    for primitive, names in named.items():
        found[primitive.value] = {}
        for name in names:
            access = visible_access(view, primitive, name)
            if access is not None:
                found[primitive.value][name] = access.value
            yield
    return found
