"""One mask of a policy, compiled: what it looks for, and what it does with that."""

from dataclasses import dataclass
from typing import Final

from ostiary_core.content.detection.automaton import automaton_of
from ostiary_core.content.detection.detector import Detector, own_pattern
from ostiary_core.content.detection.kinds import DETECTORS
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction
from ostiary_core.contract.masks import DetectConfig, MaskAction, MaskConfig
from ostiary_core.errors import PatternError
from ostiary_core.policy.name_matcher import NameMatcher

#: The stronger action has the greater number.
STRENGTH: Final[dict[MaskAction, int]] = {action: place for place, action in enumerate(MaskAction)}


@dataclass(frozen=True, slots=True, eq=False)
class CompiledMask:
    """A mask of a policy.

    ``fields`` are places by their keys, in which ``*`` stands for every one; each has the detector that evidence names.
    """

    scope: RuleScope
    action: MaskAction
    keep_last: int
    detectors: tuple[Detector, ...]
    fields: tuple[tuple[tuple[str, ...], Detector], ...]
    directions: frozenset[Direction]
    drops_notifications: bool = False
    restore_in: NameMatcher | None = None

    @classmethod
    def build(cls, config: MaskConfig, scope: RuleScope) -> "CompiledMask":
        """Compile a mask of a policy document.

        Raises:
            PatternError: a pattern is invalid or too large; the message names its field.
        """
        restored = config.restore_in
        return cls(
            scope=scope,
            action=config.action,
            keep_last=config.keep_last or 0,
            detectors=tuple(_detector(each, index) for index, each in enumerate(config.detect) if each.field is None),
            fields=tuple((tuple(each.field), _field(each.field)) for each in config.detect if each.field is not None),
            directions=frozenset(config.directions),
            drops_notifications=config.notifications == "Drop",
            restore_in=NameMatcher.build(restored.names, restored.patterns) if restored is not None else None,
        )

    @property
    def strength(self) -> int:
        """The place of its action in their order: the greatest wins."""
        return STRENGTH[self.action]

    @property
    def weight(self) -> int:
        """The instructions of its expressions, for budgets of policies."""
        return automaton_of(self.detectors).weight

    def restores(self, tool: str) -> bool:
        """Return whether its tokens become values again in the arguments of this tool."""
        return self.restore_in is not None and self.restore_in.matches(tool)


def _detector(config: DetectConfig, index: int) -> Detector:
    """Return a detector, after checking that its pattern compiles."""
    if config.kind is not None:
        return DETECTORS[config.kind]
    found = own_pattern(config.name or "pattern", config.pattern or "")
    try:
        matches_nothing = found.compiled().search(b"") is not None
    except PatternError as error:
        raise PatternError(f"detect[{index}].pattern: {error}") from None
    if matches_nothing:
        raise PatternError(
            f"detect[{index}].pattern: {config.pattern!r} matches the empty text; let it match something"
        )
    return found


def _field(path: list[str]) -> Detector:
    """Return what stands for a field in evidence; it finds nothing by itself."""
    pointer = "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)
    return Detector(pointer, "")
