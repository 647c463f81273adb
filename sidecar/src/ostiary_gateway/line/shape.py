"""Shape: what of an answer the caller may see. Answers keep their bytes unless a rule takes something away.

The lists lose what is hidden; their cursors, unknown fields and order stay, also when a page becomes empty. A notice of
a resource's change is dropped for a resource that may not be subscribed to.
"""

from collections.abc import Callable
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import LISTS, Judgement, Method, Primitive, Verb
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.line import answers
from ostiary_gateway.upstream import faults

_UPDATED: Final = "notifications/resources/updated"


def must_filter(method: Method | None, visibility: Visibility) -> bool:
    """Say whether a rule may take something away from the answer to this method."""
    if method is None or method.judgement is not Judgement.LIST or method.primitive is None:
        return False
    return not visibility.shows_all(method.primitive)


def read_for(method: Method | None, text: bytes, visibility: Visibility) -> dict[str, Any]:
    """Parse an answer, as strictly as what is to be done with it needs.

    Raises:
        UpstreamFault: it is no JSON object, or not strict JSON although it must be filtered.
    """
    return strictly(text) if must_filter(method, visibility) else answers.read(text)


def shape_result(method: Method | None, text: bytes, message: dict[str, Any], visibility: Visibility) -> bytes:
    """Return the bytes of an answer to a request as the caller may see them.

    ``message`` is what :func:`read_for` made of ``text``; it is changed.

    Raises:
        UpstreamFault: a list that must be filtered is not of the specified shape.
    """
    if method is None or not must_filter(method, visibility) or "result" not in message:
        return text
    _filter(message["result"], method, visibility)
    return strict_json.dumps(message)


def shape_streamed(text: bytes, message: dict[str, Any], visibility: Visibility) -> bytes | None:
    """Return a message of a stream whose requests are not known (a legacy GET), shaped by what it looks like.

    None drops it: a notice of a resource that the caller may not subscribe to.

    Raises:
        UpstreamFault: it may have to be shaped and is not strict JSON, or a list is not of the specified shape.
    """
    if all(visibility.shows_all(primitive) for primitive in Primitive):
        return text
    message = strictly(text)
    if message.get("method") == _UPDATED and not _may_hear(message, visibility):
        return None
    result = message.get("result")
    held = [LISTS[key] for key in LISTS if isinstance(result, dict) and key in result]
    filtered = [method for method in held if must_filter(method, visibility)]
    for method in filtered:
        _filter(result, method, visibility)
    return strict_json.dumps(message) if filtered else text


def _may_hear(message: dict[str, Any], visibility: Visibility) -> bool:
    params = message.get("params")
    uri = params.get("uri") if isinstance(params, dict) else None
    return isinstance(uri, str) and visibility.decide(Primitive.RESOURCES, Verb.SUBSCRIBE, uri).allowed


def strictly(text: bytes) -> dict[str, Any]:
    """Parse an answer that a rule judges, so strictly that a client cannot read it otherwise.

    Raises:
        UpstreamFault: it is not strict JSON, or no object.
    """
    try:
        message = strict_json.loads(text)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"the answer is not strict JSON: {error}") from None
    if not isinstance(message, dict):
        raise UpstreamFault(faults.INVALID, "the answer is no JSON object")
    return message


def _filter(result: Any, method: Method, visibility: Visibility) -> None:
    items = result.get(method.list_key) if isinstance(result, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UpstreamFault(faults.INVALID, f'the answer to {method.name} holds no list "{method.list_key}"')
    shows = _shower(method, visibility)
    result[method.list_key] = [item for item in items if shows(item)]
    if "cacheScope" in result:
        result["cacheScope"] = "private"  # what one caller may see must not be cached for another


def _shower(method: Method, visibility: Visibility) -> Callable[[dict[str, Any]], bool]:
    primitive, key = method.primitive, method.item_key
    assert primitive is not None  # noqa: S101  every list has one

    def shows(item: dict[str, Any]) -> bool:
        name = item.get(key)
        return isinstance(name, str) and visibility.shows(primitive, name)

    return shows
