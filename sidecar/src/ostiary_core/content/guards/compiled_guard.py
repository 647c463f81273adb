"""One guard of a policy, compiled: what it looks for, and what it does with that."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core.content.guards.signatures import compile_signature
from ostiary_core.content.guards.text_scanner import TextScanner
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import (
    GuardAction,
    GuardConfig,
    GuardDetector,
    ScorerConfig,
    Sensitivity,
    SignatureConfig,
)
from ostiary_core.errors import PatternError

#: The stronger action has the greater number.
STRENGTH: Final[dict[GuardAction, int]] = {action: place for place, action in enumerate(GuardAction)}


@dataclass(frozen=True, slots=True, eq=False)
class CompiledGuard:
    """A guard of a policy.

    ``scanners`` holds a scanner for each direction in which it detects something; guards that detect the same share
    them. ``finds_mentions`` where it looks for tools that speak of another server's, ``wraps_all`` where it wraps every
    text, since it names nothing to detect. ``truncate_bytes`` is the most UTF-8 of the texts of one result, and of its
    structured content.
    """

    scope: RuleScope
    action: GuardAction
    directions: frozenset[Direction]
    scanners: Mapping[Direction, TextScanner]
    wraps_all: bool = False
    finds_look_alikes: bool = False
    finds_mentions: bool = False
    truncate_bytes: int | None = None
    scorer: ScorerConfig | None = None
    weight: int = 0

    @classmethod
    def build(cls, config: GuardConfig, scope: RuleScope) -> "CompiledGuard":
        """Compile a guard of a policy document.

        Raises:
            PatternError: a signature is invalid or too large; the message names it.
        """
        detect = frozenset(config.detect or ()) - {GuardDetector.LOOK_ALIKE}
        signatures = tuple(config.signatures or ())
        weight = sum(_weight(each, index) for index, each in enumerate(signatures))
        is_scanning = bool(detect or signatures)
        directions = frozenset(config.directions)
        return cls(
            scope=scope,
            action=config.action,
            directions=directions,
            scanners={each: _scanner(detect, config, each) for each in directions} if is_scanning else {},
            wraps_all=not is_scanning and config.scorer is None and config.action is GuardAction.WRAP,
            finds_look_alikes=GuardDetector.LOOK_ALIKE in (config.detect or ()),
            finds_mentions=GuardDetector.COERCION in detect and config.sensitivity is not Sensitivity.LOW,
            truncate_bytes=config.truncate_text,
            scorer=config.scorer,
            weight=weight,
        )

    @property
    def strength(self) -> int:
        """The place of its action in their order: the greatest wins."""
        return STRENGTH[self.action]


def _weight(signature: SignatureConfig, index: int) -> int:
    try:
        return int(compile_signature(signature.pattern).programsize)
    except PatternError as error:
        raise PatternError(f"signatures[{index}].pattern: {error}") from None


def _scanner(detect: frozenset[GuardDetector], config: GuardConfig, direction: Direction) -> TextScanner:
    if config.signatures:
        return TextScanner.build(
            detect, sensitivity=config.sensitivity, direction=direction, signatures=config.signatures
        )
    return _shared_scanner(detect, config.sensitivity, direction)


@functools.lru_cache(maxsize=256)
def _shared_scanner(detect: frozenset[GuardDetector], sensitivity: Sensitivity, direction: Direction) -> TextScanner:
    return TextScanner.build(detect, sensitivity=sensitivity, direction=direction)
