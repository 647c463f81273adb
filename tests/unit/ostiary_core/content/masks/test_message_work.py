"""Work on a long message is cut into many steps, so that no other call waits for the whole of it."""

import contextlib
from typing import Any

import pytest

from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction
from ostiary_core.contract.masks import DetectConfig, DetectedKind, MaskAction, MaskConfig
from ostiary_core.steps import InThread, Steps

_VALUES = 20_000
_ADDRESS = "someone@example.com "


class _Rules:
    masks = (
        CompiledMask.build(
            MaskConfig(
                name="all",
                directions=[Direction.RESULTS],
                detect=[DetectConfig(kind=kind) for kind in DetectedKind],
                action=MaskAction.MASK,
            ),
            RuleScope("default/all", "all"),
        ),
    )


def counted(steps: Steps[Any]) -> int:
    """Run all steps; return how many there were."""
    count, answer = 0, None
    with contextlib.suppress(StopIteration):
        while True:
            step = steps.send(answer)
            answer = step.work() if isinstance(step, InThread) else None
            count += 1
    return count


@pytest.mark.parametrize(
    "texts",
    [[_ADDRESS * _VALUES], [_ADDRESS * 4] * (_VALUES // 4), ["\u200b" + _ADDRESS * _VALUES]],
    ids=["one text", "many blocks", "a character of no width in front"],
)
def test_no_step_masks_more_than_a_few_hundred_values(texts: list[str]) -> None:
    message: dict[str, Any] = {"id": 1, "result": {"content": [{"type": "text", "text": text} for text in texts]}}
    assert counted(MaskSet(_Rules()).masking(message, Direction.RESULTS)) > _VALUES / 100
    assert "someone" not in str(message)
