"""Compiled masks for tests, from what a policy document says."""

from dataclasses import dataclass
from typing import Any

import orjson

from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.content.masks.message_work import Masked
from ostiary_core.content.masks.tokens import MaskKeys
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction
from ostiary_core.contract.masks import MaskConfig
from ostiary_core.steps import run_steps


@dataclass(frozen=True)
class Rules:
    """The masks of an item."""

    masks: tuple[CompiledMask, ...]


def mask(*detect: dict[str, Any], action: str = "Mask", origin: RuleScope | None = None, **more: Any) -> CompiledMask:
    """A mask for both directions, unless ``more`` says otherwise."""
    document = {"name": "mask", "directions": ["Arguments", "Results"], "detect": detect, "action": action, **more}
    return CompiledMask.build(
        MaskConfig.model_validate_json(orjson.dumps(document)), origin or RuleScope("team/privacy", "mask")
    )


def mask_set(*masks: CompiledMask) -> MaskSet:
    """The set of these masks."""
    return MaskSet(Rules(masks))


def masked(
    masks: MaskSet, message: dict[str, Any], direction: Direction = Direction.RESULTS, keys: MaskKeys | None = None
) -> Masked:
    """Mask a message in place, all steps at once."""
    return run_steps(masks.masking(message, direction, keys))
