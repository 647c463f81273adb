"""What a rule about content found in a message: the evidence, which never holds a value.

A mask, a guard, a validation or a lock reports findings; spans, metrics and audit records show them. All texts of a
finding are names of the spec or of this software, so their number is bounded, and nothing that a caller or a server
sent can be read in them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ostiary_core.contract.content import Direction

__all__ = ["ContentFinding", "Direction", "summed"]


@dataclass(frozen=True, slots=True)
class ContentFinding:
    """What one rule found in one message, by one detector.

    ``policy`` is the MCPPolicy, MCPLock or MCPProxy as NAMESPACE/NAME, ``rule`` the name of its rule. ``detector`` is
    a kind (`CardNumber`), a guard (`HiddenText`), or the name of an own pattern or signature. ``action`` is what was
    done, or would be (`Mask`). ``count`` is the number of places. ``is_shadow`` where nothing was changed.
    """

    policy: str
    rule: str
    detector: str
    action: str
    direction: Direction
    count: int = 1
    is_shadow: bool = False

    @property
    def mode(self) -> str:
        """`Enforce` or `Shadow`, as in the policy."""
        return "Shadow" if self.is_shadow else "Enforce"

    @property
    def origin(self) -> str:
        """The rule with its policy, as NAMESPACE/NAME/RULE."""
        return f"{self.policy}/{self.rule}" if self.rule else self.policy


def summed(known: Mapping[ContentFinding, int] | None, findings: Iterable[ContentFinding]) -> dict[ContentFinding, int]:
    """Return the places of each finding, added to those that are known.

    Keys are findings with the count 1, so that those of several messages are one.
    """
    found = dict(known or {})
    for finding in findings:
        key = finding if finding.count == 1 else replace(finding, count=1)
        found[key] = found.get(key, 0) + finding.count
    return found
