"""Keep what one caller may read out of caches that others share.

A server says ``cacheScope: public`` (specification, Caching) without knowing that the gateway authenticates callers, or
chooses a server by their headers. A cache in front of the gateway could then show one caller's list, or a resource, to
another, or to a client without any credential.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.errors import StrictJSONError
from ostiary_core.json_spans import SpanReader
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, Steps
from ostiary_gateway.upstream import faults

_SCOPE: Final = "cacheScope"
_PRIVATE: Final = "private"


def caller_matters(proxy: ProxyRuntime) -> bool:
    """Return whether others may get another answer: it authenticates callers, or routes."""
    return proxy.authenticator is not None or proxy.routing is not None


def may_be_shared(message: Mapping[str, Any]) -> bool:
    """Return whether a response permits caches to show it to several callers."""
    result = message.get("result")
    return isinstance(result, dict) and result.get(_SCOPE, _PRIVATE) != _PRIVATE


def kept_private(exchange: Exchange, text: bytes, message: Mapping[str, Any]) -> Steps[bytes]:
    """Return a response with a private ``cacheScope`` where it matters to the proxy who calls.

    It stays without one if it has none.
    ``message`` is the parsed text. All other bytes stay.

    Raises:
        UpstreamFault: the text can be read in two ways.
    """
    if not (caller_matters(exchange.proxy) and may_be_shared(message)):
        return text
    if len(text) > LIGHT_BYTES:
        yield
    try:
        return _replaced(text)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"the answer is not strict JSON: {error}") from None


def _replaced(text: bytes) -> bytes:
    reader = SpanReader(text)
    places: list[tuple[int, int]] = []

    def note(start: int) -> int:
        end = reader.value(start)[1]
        places.append((start, end))
        return end

    reader.whole({"result": lambda start: reader.members(start, {_SCOPE: note})})
    (place,) = places  # a second one would not be strict JSON
    return reader.replaced(*place, f'"{_PRIVATE}"')
