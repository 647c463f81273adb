"""Has the texts of a message judged by the scorers of guards.

What a scorer flags is what a guard found, so the guard's action says what becomes of it. A scorer that gives no usable
verdict in time counts as the guard's ``onFailure`` says.
"""

import logging
from typing import Any, Final

from ostiary_core.content.content_rules import ItemRules
from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.guards.compiled_guard import CompiledGuard
from ostiary_core.content.guards.guard_set import finding_of, findings_of
from ostiary_core.content.guards.joined_texts import TextPart
from ostiary_core.content.guards.marked_places import Mark, cut_and_act
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.content.places import ReadablePlace, collecting
from ostiary_core.content.scoring.scorer_texts import ScorerError, request_for_scorer, texts_for_scorer
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import ScorerConfig
from ostiary_core.steps import Awaited
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.content.guarded_content import is_introduction, new_boundary
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import Steps
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
_warner: Final = WarningLimiter(_log)
#: What evidence names as the detector.
_SCORER: Final = "Scorer"
_UNAVAILABLE: Final = "ScorerUnavailable"
_SENT: Final = (
    "This request holds something that must not be sent to this server, so it was not sent. Leave it out, or tell the "
    "user."
)
_ANSWERED: Final = (
    "The server's answer was judged to be unsafe, so this gateway withheld it. The call may have had its effects. Tell "
    "the user, and do not repeat the call for the answer."
)
_NO_VERDICT: Final = (
    "The gateway cannot have this message checked now, and it must not pass unchecked; try again later."
)


def scoring(exchange: Exchange, rules: ItemRules, message: dict[str, Any], direction: Direction) -> Steps[bool]:
    """Have a message judged by all scorers of its guards, in steps.

    Return whether it has changed. ``message`` is changed in place.

    Raises:
        Refusal: it must not pass.
    """
    is_changed = False
    if direction is Direction.RESULTS and is_introduction(exchange, message):
        return False  # a definition, which other guards judge
    for guard in rules.guards:
        if guard.scorer is not None and direction in guard.directions:
            is_changed |= yield from _scoring(exchange, rules, guard, guard.scorer, message, direction)
    return is_changed


def _scoring(
    exchange: Exchange,
    rules: ItemRules,
    guard: CompiledGuard,
    scorer: ScorerConfig,
    message: dict[str, Any],
    direction: Direction,
) -> Steps[bool]:
    places = yield from collecting(message)
    try:
        marks = yield from _flagged(exchange, rules, guard, scorer, places, direction)
    except ScorerError as error:
        _without_verdict(exchange, guard, scorer, direction, error)
        return False
    exchange.note_findings(findings_of(marks, direction))
    if not marks or guard.scope.is_shadow:
        return False
    acted = cut_and_act(message, marks, direction, new_boundary)
    if acted.is_blocked:
        words = _SENT if direction is Direction.ARGUMENTS else _ANSWERED
        raise content_refused(exchange.message, ContentReason.CONTENT_BLOCKED, words)
    return acted.is_changed


def _flagged(
    exchange: Exchange,
    rules: ItemRules,
    guard: CompiledGuard,
    scorer: ScorerConfig,
    places: list[ReadablePlace],
    direction: Direction,
) -> Steps[list[Mark]]:
    """Return the parts of places that a scorer flags.

    Raises:
        ScorerError: it gives no verdict.
    """
    content = exchange.content
    chosen = texts_for_scorer(places, most_bytes=scorer.max_bytes)
    if not chosen or content is None:
        return []
    masks = rules.kept(MaskSet) if scorer.sends == "Masked" and rules.masks else None
    texts = [place.text if masks is None else masks.text(place.text) for place in chosen]
    request = _request(exchange, chosen, texts, masks, direction)
    addresses = exchange.proxy.scorer_addresses.get(guard.scope.policy, ())
    flagged = yield Awaited(lambda: content.scorers.ask(scorer, request, addresses=addresses))
    return [
        Mark(guard, _SCORER, _part(chosen[number], texts[number], start, end)) for number, start, end in flagged or ()
    ]


def _request(
    exchange: Exchange,
    places: list[ReadablePlace],
    texts: list[str],
    masks: MaskSet | None,
    direction: Direction,
) -> dict[str, Any]:
    message = exchange.message
    name = message.name if message is not None else ""
    method = message.method_name if message is not None else ""
    request = request_for_scorer(
        places,
        texts,
        direction=direction,
        method=method,
        name=name if masks is None else masks.text(name),
    )
    if masks is not None:
        for each in request["texts"]:
            each["place"] = masks.text(each["place"])
    return request


def _part(place: ReadablePlace, sent: str, start: int, end: int) -> TextPart:
    """Return the part of a place that a scorer means.

    It is all of it where masks have moved its positions.
    """
    return TextPart(place, start, end) if sent == place.text else TextPart(place, 0, len(place.text))


def _without_verdict(
    exchange: Exchange, guard: CompiledGuard, scorer: ScorerConfig, direction: Direction, error: ScorerError
) -> None:
    """Do what a guard says for a scorer that gave no verdict.

    Raises:
        Refusal: the message must not pass.
    """
    scope = guard.scope
    _warner.warn("the scorer of guard %s of MCPPolicy %s gave no verdict: %s", scope.rule, scope.policy, error)
    found: ContentFinding = finding_of(guard, _UNAVAILABLE, direction, 1, action=scorer.on_failure)
    exchange.note_findings([found])
    if scorer.on_failure == "Block" and not guard.scope.is_shadow:
        raise content_refused(exchange.message, ContentReason.SCORER_UNAVAILABLE, _NO_VERDICT)
