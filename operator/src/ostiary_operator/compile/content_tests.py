"""What the rules of one policy do with the arguments and the result of a test.

The message passes the same transformations, guards and masks as at a gateway, in the same order. Hashes, tokens and
boundaries depend on keys and on chance there, so a test has names in their place. Schemas, scorers and the lock of a
server are not part of a test.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ostiary_core.canonical import canonical
from ostiary_core.content.content_rules import ContentRules, ItemRules
from ostiary_core.content.guards.guard_set import GuardSet
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.content.transforms.transform_set import TransformSet
from ostiary_core.contract.content import Direction
from ostiary_core.errors import TransformError
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.message_conditions import Call
from ostiary_core.steps import run_steps
from ostiary_operator.api.policy_tests import ContentOutcome, PolicyTest

#: What is written in place of a random boundary.
BOUNDARY: Final = "boundary"
_PLACES: Final = {Direction.ARGUMENTS: "arguments", Direction.RESULTS: "result"}


class _NamedKeys:
    """Writes the name of the mask in place of hashes and tokens."""

    def hash(self, text: str, label: str) -> str:  # noqa: ARG002  the same for every value
        return f"[hash: {label.rpartition('/')[2]}]"

    def token(self, text: str, label: str) -> str:  # noqa: ARG002  the same for every value
        return f"[token: {label.rpartition('/')[2]}]"

    def opened(self, token: str, label: str) -> str | None:  # noqa: ARG002  a test has no token of a gateway
        return None


class ContentVerdict(NamedTuple):
    """What became of the arguments and the result of a test.

    ``blocked`` says which of them must not pass.
    """

    arguments: Any = None
    result: Any = None
    blocked: Direction | None = None


def judge_content(content: ContentRules | None, test: PolicyTest, call: Call | None) -> ContentVerdict:
    """Return what the rules do with the contents of a test, whose caller they are for."""
    rules = content.of(test.call.primitive, test.call.target) if content is not None else None
    arguments, result = copy.deepcopy(test.call.arguments or {}), copy.deepcopy(test.result)
    if rules is None or call is None:
        return ContentVerdict(arguments, result)
    try:
        arguments = rules.kept(TransformSet).arguments(arguments, call)
        params = {_NAMES[test.call.primitive]: test.call.target, "arguments": copy.deepcopy(arguments)}
        if not _passes(rules, {"method": call.request["method"], "params": params}, Direction.ARGUMENTS):
            return ContentVerdict(blocked=Direction.ARGUMENTS)
        arguments = params["arguments"]
        if result is None:
            return ContentVerdict(arguments)
        answer = {"result": copy.deepcopy(rules.kept(TransformSet).result(result, call))}
    except TransformError:
        return ContentVerdict(blocked=Direction.RESULTS if result is not None else Direction.ARGUMENTS)
    if not _passes(rules, answer, Direction.RESULTS):
        return ContentVerdict(arguments, blocked=Direction.RESULTS)
    return ContentVerdict(arguments, answer["result"])


_NAMES: Final = {Primitive.TOOLS: "name", Primitive.PROMPTS: "name", Primitive.RESOURCES: "uri"}


def _passes(rules: ItemRules, message: dict[str, Any], direction: Direction) -> bool:
    """Guard and mask a message in place; return whether it may pass."""
    guarded = run_steps(rules.kept(GuardSet).guarding(message, direction, boundary=lambda: BOUNDARY))
    if guarded.is_blocked or guarded.is_too_large:
        return False
    return not run_steps(rules.kept(MaskSet).masking(message, direction, _NamedKeys())).is_blocked


def content_failure(test: PolicyTest, verdict: ContentVerdict) -> str:
    """Return what of the contents is not as expected, as a clause; empty where all is.

    It names places, and never a value, which may be confidential.
    """
    if verdict.blocked is not None and test.expect_content is not ContentOutcome.BLOCK:
        return f"expected that the contents pass, but the rules about contents block the {_PLACES[verdict.blocked]}"
    if verdict.blocked is None and test.expect_content is ContentOutcome.BLOCK:
        return "expected that the rules about contents block the message, but it passes"
    for name, expected, found in (
        ("expectArguments", test.expect_arguments, verdict.arguments),
        ("expectResult", test.expect_result, verdict.result),
    ):
        if expected is not None and verdict.blocked is None and canonical(expected) != canonical(found):
            return f"{name} is not what comes out: they differ at {first_difference(expected, found) or 'the root'}"
    return ""


def first_difference(expected: Any, found: Any, place: str = "") -> str:
    """Return the JSON Pointer of the first difference; empty for the whole."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        pairs = {key: (expected.get(key, _ABSENT), found.get(key, _ABSENT)) for key in sorted({*expected, *found})}
        return _first(pairs, place)
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return _first({str(number): pair for number, pair in enumerate(zip(expected, found, strict=True))}, place)
    return place


_ABSENT: Final = object()


def _first(pairs: Mapping[str, tuple[Any, Any]], place: str) -> str:
    for key, (one, other) in pairs.items():
        if one is _ABSENT or other is _ABSENT or canonical(one) != canonical(other):
            step = f"{place}/{key.replace('~', '~0').replace('/', '~1')}"
            return step if one is _ABSENT or other is _ABSENT else first_difference(one, other, step)
    return place
