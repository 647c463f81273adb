"""Whether what masks write is itself something that a mask looks for.

Then a value that is masked already would be masked or blocked again: in its record, or when an agent sends it back.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ostiary_core.content.detection.automaton import joined
from ostiary_core.content.detection.detector import Detector
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.replacements import masked
from ostiary_core.content.masks.tokens import HASH_PREFIX, TOKEN_PREFIX
from ostiary_core.contract.masks import MaskAction

#: What stands for hashes and tokens, which are base32.
_BASE32: Final = "aaaaaaf5k2mzq7xw3jd4nbyrtg6uhvplceaoistd2qk7"
#: Values of several forms, whose last characters may stay readable.
_VALUES: Final = ("4111 1111 1111 1111", "123-45-6789", "ada@example.com", "+12125550123", "EMP-123456", "Abc123xyz789")


class MatchedOutput(NamedTuple):
    """What ``mask`` writes is found by ``detector``, which ``other`` looks for."""

    mask: CompiledMask
    other: CompiledMask
    detector: Detector

    @property
    def problem(self) -> str:
        """The fault in words, with the remedy."""
        what = f"the mask {self.other.scope.rule!r} finds {self.detector.name!r} in what this mask writes"
        return f"{what}; make its pattern narrower, or give it another name or action"


def matched_outputs(masks: Sequence[CompiledMask]) -> list[MatchedOutput]:
    """Return each case in which a mask would find what one of them writes."""
    owners = [(detector, mask) for mask in masks for detector in mask.detectors]
    automaton = joined(detector for detector, _ in owners)
    found: list[MatchedOutput] = []
    for mask in masks:
        hits = {hit.detector for text in _outputs(mask) for hit in automaton.find(text.encode())}
        found += [MatchedOutput(mask, other, detector) for detector, other in owners if detector in hits]
    return found


def _outputs(mask: CompiledMask) -> Iterator[str]:
    if mask.action in (MaskAction.BLOCK, MaskAction.REMOVE):
        return
    if mask.action is MaskAction.HASH:
        yield HASH_PREFIX + _BASE32
    if mask.action is MaskAction.TOKENISE:
        yield TOKEN_PREFIX + _BASE32
    for detector in (*mask.detectors, *(each for _, each in mask.fields)):
        for value in _VALUES:
            yield masked(value, detector.name, keep_last=mask.keep_last)
