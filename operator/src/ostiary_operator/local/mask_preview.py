"""What masks leave of a file, as a gateway would send it: for ``ostiary mask``."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import ValidationError

from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.content.policy_content import PolicyContentRules
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction
from ostiary_core.contract.masks import DetectConfig, DetectedKind, MaskAction, MaskConfig
from ostiary_core.errors import StrictJSONError
from ostiary_core.steps import run_steps
from ostiary_core.strict_json import loads
from ostiary_operator.api.policy import PolicySpec
from ostiary_operator.api.resources import POLICY_KIND
from ostiary_operator.compile.content_rules import content_configs
from ostiary_operator.local.manifests import ObjectManifest

#: Members of a result: an object with one of them is taken for one.
_OF_RESULTS: Final = frozenset({"content", "structuredContent", "contents", "messages", "completion"})


class UnusablePolicyError(Exception):
    """A policy that cannot be used; the message names it and the fault."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is left of a file, and what was found in it; ``text`` is None where a mask blocks."""

    text: str | None
    findings: tuple[ContentFinding, ...]


def masks_of(manifests: Iterable[ObjectManifest]) -> list[CompiledMask]:
    """Return the masks of all MCPPolicies among the objects of files.

    Raises:
        UnusablePolicyError: a policy is invalid.
        PatternError: a pattern cannot be compiled.
    """
    found: list[CompiledMask] = []
    for manifest in manifests:
        if manifest.key.kind == POLICY_KIND:
            found += _of_policy(manifest)
    return found


def _of_policy(manifest: ObjectManifest) -> Iterator[CompiledMask]:
    name = f"{manifest.key.namespace}/{manifest.key.name}"
    try:
        spec = PolicySpec.model_validate(manifest.value.get("spec") or {})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise UnusablePolicyError(f"MCPPolicy {name}: spec.{field}: {first['msg']}") from None
    for config in content_configs(spec, manifest.key.namespace).masks:
        yield CompiledMask.build(config, RuleScope(name, config.name))


def every_kind(*, keep_last: int) -> CompiledMask:
    """Return a mask of all kinds, for a look without a policy."""
    detect = [DetectConfig(kind=kind) for kind in DetectedKind]
    config = MaskConfig(
        name="every-kind", directions=[Direction.RESULTS, Direction.ARGUMENTS], detect=detect,
        action=MaskAction.MASK, keep_last=keep_last or None,
    )  # fmt: skip
    return CompiledMask.build(config, RuleScope("command line", config.name))


def preview(masks: Sequence[CompiledMask], text: str) -> Preview:
    """Return what is left of a text, or of the JSON in it.

    A JSON-RPC request, or an object with ``arguments``, is masked as what goes to a server; all else as a result.
    """
    try:
        value: Any = loads(text.encode("utf-8", "replace"))
    except StrictJSONError:
        value = None
    if type(value) is not dict and type(value) is not list:
        return _masked(
            masks, {"result": {"content": [{"type": "text", "text": text}]}}, ("result", "content", 0, "text")
        )
    if type(value) is dict and "jsonrpc" in value:
        return _masked(masks, value, ())
    if type(value) is dict and _OF_RESULTS & value.keys():
        return _masked(masks, {"result": value}, ("result",))
    return _masked(masks, {"result": {"structuredContent": value}}, ("result", "structuredContent"))


def _masked(masks: Sequence[CompiledMask], message: dict[str, Any], path: tuple[str | int, ...]) -> Preview:
    is_call = message.get("method") == "tools/call"
    direction = Direction.ARGUMENTS if is_call else Direction.RESULTS
    found = run_steps(MaskSet(PolicyContentRules(masks=tuple(masks))).masking(message, direction))
    if found.is_blocked:
        return Preview(None, found.findings)
    left: Any = message
    for key in path:
        left = left[key]
    return Preview(
        left if type(left) is str else orjson.dumps(left, option=orjson.OPT_INDENT_2).decode(), found.findings
    )
