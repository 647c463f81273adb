"""What masks show instead of values, and which patterns would find that.

A pattern that finds what a mask has written would mask it again at the next gateway, refuse every answer, or hide a
token from the tool that should get the value. Kinds verify what they find, so only a policy's own patterns can do that.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ostiary_core.content.detection.kinds import DETECTORS
from ostiary_core.content.masks.replacements import masked, stars
from ostiary_core.content.masks.tokens import HASH_PREFIX, TOKEN_PREFIX
from ostiary_core.contract.masks import DetectConfig, MaskConfig
from ostiary_core.policy.name_matcher import compile_expression

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
#: How hashes and tokens look, whatever their keys are.
_KEYED: Final = (f"{HASH_PREFIX}{_ALPHABET * 2}", f"{TOKEN_PREFIX}{_ALPHABET * 3}")
#: Values whose stars with the last characters are samples of what `keepLast` shows.
_SAMPLES: Final = (
    "4111 1111 1111 1111",
    "DE89370400440532013000",
    "536-90-4399",
    "ada@example.com",
    "+12125550123",
    "EMP-123456",
    "Abc123xyz789",
)


class FoundOutput(NamedTuple):
    """A pattern by the numbers of its mask and detector, and what it finds of masks."""

    mask: int
    detector: int
    output: str


def patterns_that_find_outputs(masks: Sequence[MaskConfig]) -> Iterator[FoundOutput]:
    """Yield each pattern of the masks of a policy that finds what a mask shows.

    Raises:
        PatternError: a pattern is invalid.
    """
    outputs = sorted({*_KEYED, *(output for mask in masks for output in _outputs(mask))})
    for number, mask in enumerate(masks):
        for place, detector in enumerate(mask.detect):
            found = _found_by(detector.pattern, outputs) if detector.pattern is not None else None
            if found is not None:
                yield FoundOutput(number, place, found)


def _found_by(pattern: str, outputs: Iterable[str]) -> str | None:
    expression = compile_expression(pattern)
    return next((output for output in outputs if expression.search(output) is not None), None)


def _outputs(mask: MaskConfig) -> Iterator[str]:
    """Yield what a mask shows; Hash and Tokenise show what Mask does where there are no keys."""
    for detector in mask.detect:
        yield masked("", _name(detector), keep_last=0)
    if mask.keep_last is not None:
        yield from (stars(sample, keep_last=mask.keep_last) for sample in _SAMPLES)


def _name(detector: DetectConfig) -> str:
    if detector.kind is not None:
        return DETECTORS[detector.kind].name
    return detector.name or f"/{'/'.join(detector.field or ())}"
