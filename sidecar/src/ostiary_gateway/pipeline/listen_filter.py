"""The filter of ``subscriptions/listen``, which may name a thousand resources.

Where a proxy has many rules, judging all of them takes long, so they are judged in slices between which other requests
are served.
"""

from collections.abc import Sequence
from typing import Any, Final

from ostiary_core.mcp.methods import METHODS, Primitive, Verb
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_core.policy.cost_limits import NAME_LENGTH
from ostiary_core.policy.decision_cache import NAME_LENGTH as REMEMBERED_LENGTH
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import LARGE_MESSAGES, Steps, in_slices
from ostiary_gateway.pipeline.message_members import bad_params, case_variant

#: Limits of one list in a listen filter: the number of names, and of characters in all of them together.
_LIMIT: Final = 1024
_CHARACTERS: Final = 65_536
#: The limit for judging all URIs of a filter, as a multiple of the most costly decision allowed.
DECISIONS: Final = 4
#: As many are judged at once.
_FEW_URIS: Final = 16
#: The most URIs of a filter that are too long to be remembered with their decision.
_LONG_URIS: Final = 64
#: The method whose filter may name many resources.
LISTEN: Final = METHODS["subscriptions/listen"]


def listen_filter(params: dict[str, Any], field: str) -> list[str]:
    """Return one list of a listen filter (specification, Subscriptions).

    ``taskIds`` comes from the tasks extension.

    Raises:
        Refusal: the filter does not have the specified shape.
    """
    wanted = params.get("notifications")
    names = wanted.get(field, []) if isinstance(wanted, dict) and case_variant(wanted) is None else None
    if (
        not isinstance(names, list)
        or len(names) > _LIMIT
        or not all(isinstance(name, str) and len(name) <= NAME_LENGTH for name in names)
        or sum(map(len, names)) > _CHARACTERS
        or sum(len(name) > REMEMBERED_LENGTH for name in names) > _LONG_URIS
    ):
        words = (
            f'"params.notifications" must be a filter, its "{field}" a list of at most {_LIMIT} strings of at '
            f"most {NAME_LENGTH} characters, {_CHARACTERS} in all, {_LONG_URIS} of them longer than "
            f"{REMEMBERED_LENGTH}"
        )
        raise bad_params(words, MODERN)
    return names


async def prepare_listen(exchange: Exchange) -> None:
    """Judge the resources of a long listen filter in slices.

    The authorize stage then finds the decisions in the cache.

    Raises:
        Refusal: the filter does not have the specified shape.
    """
    message = exchange.message
    uris = listen_filter(message.params, "resourceSubscriptions") if message is not None else []
    if len(uris) > _FEW_URIS:
        async with LARGE_MESSAGES.turn(exchange.proxy.uid):
            await in_slices(_decide_all(exchange.visibility, uris))


def _decide_all(visibility: Visibility, uris: Sequence[str]) -> Steps[None]:
    if not visibility.costs_at_most(DECISIONS, Primitive.RESOURCES, uris):
        return
    for uri in uris:
        visibility.decide(Primitive.RESOURCES, Verb.SUBSCRIBE, uri)
        yield
