"""Shape: reduce a response to what the caller may see.

It keeps its bytes unless a rule removes something.

Hidden items are removed from lists; cursors, unknown fields and the order stay, also when a page becomes empty. An item
that cannot be judged is dropped and reported (:mod:`.lenient_list_filter`). A notification that a resource changed is
dropped where the caller may not subscribe to that resource.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from ostiary_core import strict_json
from ostiary_core.content.finding import ContentFinding
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import LISTS, AuthorizationKind, Method, Primitive, Verb
from ostiary_core.policy.decision_cache import DECISIONS, Memo
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline import jsonrpc, lenient_list_filter
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, UNJUDGED, Steps, at_once, check_weight
from ostiary_gateway.pipeline.lenient_list_filter import TTL_LIMIT_MS, ListFilter, exceeds_ttl_limit
from ostiary_gateway.pipeline.list_cost import CostlyNames, LongURIs
from ostiary_gateway.upstream import faults

_PRIMITIVES: Final = tuple(Primitive)
_ONLY_OBJECTS: Final = frozenset({dict})
_UPDATED: Final = "notifications/resources/updated"
#: Which names of lists callers may see, as far as that was judged.
_SHOWN: Final[WeakKeyDictionary[Visibility, dict[Primitive, Memo[str, bool]]]] = WeakKeyDictionary()


class Reading(NamedTuple):
    """A parsed response; ``is_strict`` if no other parser can read it differently."""

    message: dict[str, Any]
    is_strict: bool


class Shaped(NamedTuple):
    """What the caller may see of a response, and descriptions of the dropped items.

    ``findings`` are those of rules about content. ``is_of_caller`` where another caller must not get it.
    """

    body: bytes
    dropped: Sequence[str] = ()
    findings: tuple[ContentFinding, ...] = ()
    is_of_caller: bool = False


def must_filter(method: Method | None, visibility: Visibility) -> bool:
    """Return whether a rule may remove something from the response to this method."""
    if method is None or method.authorization is not AuthorizationKind.LIST or method.primitive is None:
        return False
    return not visibility.shows_all(method.primitive)


def must_pin(method: Method | None, visibility: Visibility) -> bool:
    """Return whether the pinning or the overrides of definitions may change this list."""
    if method is None or visibility.definitions is None or not visibility.definitions.changes_lists:
        return False
    return method.authorization is AuthorizationKind.LIST


def must_read(method: Method | None, visibility: Visibility) -> bool:
    """Return whether the response to this method is judged."""
    return must_filter(method, visibility) or must_pin(method, visibility)


def shows_everything(visibility: Visibility) -> bool:
    """Return whether no rule removes anything from any message."""
    return all(map(visibility.shows_all, _PRIMITIVES))


def read_for(method: Method | None, text: bytes, visibility: Visibility) -> Reading:
    """Parse a response, strictly where it must be filtered and is strict JSON.

    Raises:
        UpstreamFault: it is not a JSON object.
    """
    return at_once(reading_for(method, text, visibility, limit=sys.maxsize))


def read_strictly(text: bytes, *, is_tame: bool) -> dict[str, Any]:
    """Parse a short response whose contents rules look at.

    ``is_tame`` where it is known to hold no number that is out of range.

    Raises:
        UpstreamFault: readers could disagree about its contents, or it is not a JSON object.
    """
    try:
        return _object(strict_json.loads_tame(text) if is_tame else strict_json.loads(text))
    except StrictJSONError as error:
        raise _not_strict(error) from None


def reading_for(
    method: Method | None, text: bytes, visibility: Visibility, *, limit: int, is_tame: bool = False
) -> Steps[Reading]:
    """Parse a response as :func:`read_for` does, in steps.

    One that is judged weighs at most ``limit``. Where rules look at its contents it must be strict JSON. ``is_tame``
    where it is only read, and known to hold no number that is out of range.

    Raises:
        UpstreamFault: also where it weighs more, or readers could disagree about its contents.
    """
    sees_content = visibility.content is not None or must_pin(method, visibility)
    is_judged = sees_content or must_filter(method, visibility)
    yield from check_weight(text, limit if is_judged and not is_tame else limit * UNJUDGED)
    if is_judged:
        try:
            message = _object(strict_json.loads_tame(text) if is_tame else (yield from strict_json.loading(text)))
        except StrictJSONError as error:
            if sees_content:
                raise _not_strict(error) from None
            yield
        else:
            if len(text) > LIGHT_BYTES:
                yield
            return Reading(message, is_strict=True)
    return Reading((yield from jsonrpc.reading(text)), is_strict=False)


def shape_result(method: Method | None, text: bytes, reading: Reading, visibility: Visibility) -> Shaped:
    """Return a response to a request as the caller may see it.

    ``reading`` is the result of :func:`read_for` for ``text``; it is changed.

    Raises:
        UpstreamFault: a list that must be filtered does not have the specified shape.
    """
    return at_once(shaping(method, text, reading, visibility))


def shaping(method: Method | None, text: bytes, reading: Reading, visibility: Visibility) -> Steps[Shaped]:
    """Shape a response as :func:`shape_result` does, in steps."""
    if method is None or not must_filter(method, visibility) or "result" not in reading.message:
        return Shaped(text)
    if reading.is_strict:
        return (yield from _filter_strict(reading.message, [method], visibility))
    return (yield from _filter_text(text, [method], visibility, needed=True))


def shape_streamed(text: bytes, message: dict[str, Any], visibility: Visibility) -> Shaped | None:
    """Return a message of a stream with unknown requests (a legacy GET), filtered by content.

    ``message`` was parsed leniently. None drops it: it announces a resource that the caller may not subscribe to.

    Raises:
        UpstreamFault: it may need filtering and is ambiguous, or a list does not have the specified shape.
    """
    return at_once(shaping_streamed(text, message, visibility, limit=sys.maxsize))


def shaping_streamed(
    text: bytes, message: dict[str, Any], visibility: Visibility, *, limit: int
) -> Steps[Shaped | None]:
    """Filter a message as :func:`shape_streamed` does, in steps.

    One that is judged weighs at most ``limit``.

    Raises:
        UpstreamFault: also where it weighs more.
    """
    if shows_everything(visibility):
        return Shaped(text)
    yield from check_weight(text, limit)
    governed = [method for method in LISTS.values() if must_filter(method, visibility)]
    try:
        message = _object((yield from strict_json.loading(text)))
    except StrictJSONError as error:
        if "method" in message:
            raise _not_strict(error) from None
        yield
        return (yield from _filter_text(text, governed, visibility, needed=False))
    if len(text) > LIGHT_BYTES:
        yield
    if message.get("method") == _UPDATED and not _may_subscribe(message, visibility):
        return None
    result = message.get("result")
    governed = [method for method in governed if isinstance(result, dict) and method.list_key in result]
    return (yield from _filter_strict(message, governed, visibility)) if governed else Shaped(text)


def _may_subscribe(message: dict[str, Any], visibility: Visibility) -> bool:
    params = message.get("params")
    uri = params.get("uri") if isinstance(params, dict) else None
    return isinstance(uri, str) and visibility.could_allow(Primitive.RESOURCES, Verb.SUBSCRIBE, uri)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UpstreamFault(faults.INVALID, "the response is not a JSON object")
    return value


def _not_strict(error: StrictJSONError) -> UpstreamFault:
    return UpstreamFault(faults.INVALID, f"the answer is not strict JSON: {error}")


def _filter_text(text: bytes, methods: Sequence[Method], visibility: Visibility, *, needed: bool) -> Steps[Shaped]:
    """Filter text that is not strict JSON. ``needed`` says that the lists must be there."""
    lists = {method.list_key: _judged(method, visibility) for method in methods}
    try:
        body, found = yield from lenient_list_filter.filtering(text, lists)
    except StrictJSONError as error:
        raise _not_strict(error) from None
    if needed and (missing := lists.keys() - found):
        raise _no_list(missing.pop())
    return _shaped(body if found else text, lists)


def _filter_strict(message: dict[str, Any], methods: Sequence[Method], visibility: Visibility) -> Steps[Shaped]:
    lists = {method.list_key: _judged(method, visibility) for method in methods}
    yield from _filter_tree(message["result"], lists)
    return _shaped(strict_json.dumps(message), lists)


def _shaped(body: bytes, lists: Mapping[str, ListFilter]) -> Shaped:
    return Shaped(body, [words for judged in lists.values() for words in judged.dropped])


def _no_list(key: str) -> UpstreamFault:
    return UpstreamFault(faults.INVALID, f'the answer holds no list "{key}"')


def _judged(method: Method, visibility: Visibility) -> ListFilter:
    assert method.primitive is not None  # noqa: S101  every list has one
    bytes_each = visibility.bytes_for_a_decision(method.primitive)
    if bytes_each is None and method.primitive is not Primitive.RESOURCES:
        known = _SHOWN.setdefault(visibility, {}).setdefault(method.primitive, Memo())
        shows = partial(_shows, known, visibility, method.primitive)
        judged = ListFilter(method.list_key, method.item_key, shows, known=known)
        return _narrowing(judged, method.primitive, visibility)
    costly: LongURIs | CostlyNames = LongURIs(visibility)
    if bytes_each is not None:
        costly = CostlyNames(method.primitive, visibility, bytes_each=bytes_each)
    judged = ListFilter(method.list_key, method.item_key, costly.shows, costly.is_due)
    return _narrowing(judged, method.primitive, visibility)


def _shows(known: Memo[str, bool], visibility: Visibility, primitive: Primitive, name: str) -> bool:
    """Return whether the caller may see a name, and remember it for the next list."""
    found = visibility.shows(primitive, name)
    DECISIONS.keep(known, name, found, name=name)
    return found


def _narrowing(judged: ListFilter, primitive: Primitive, visibility: Visibility) -> ListFilter:
    """Have a list of tools show the input schemas of the calls that the caller may make."""
    if visibility.narrows and primitive is Primitive.TOOLS:
        judged.reshape = partial(_narrow, visibility)
    return judged


def _narrow(visibility: Visibility, tool: dict[str, Any]) -> dict[str, Any]:
    return {**tool, "inputSchema": visibility.narrowed(tool["name"], tool.get("inputSchema"))}


def _filter_tree(result: Any, lists: Mapping[str, ListFilter]) -> Steps[None]:
    for key, judged in lists.items():
        items = result.get(key) if isinstance(result, dict) else None
        if not isinstance(items, list) or not _ONLY_OBJECTS.issuperset(map(type, items)):
            raise _no_list(key)
        result[key] = yield from judged.keeping(items)
        yield
    if lists and "cacheScope" in result:
        result["cacheScope"] = "private"  # what one caller may see must not be cached for another
    if lists and exceeds_ttl_limit(result.get("ttlMs")):
        result["ttlMs"] = TTL_LIMIT_MS
