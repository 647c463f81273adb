"""One line for each call through the gateway.

It shows proxy, tool, outcome, duration, and the policy that denied the call.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_operator.local.console import Style, printable

STYLES: Final[Mapping[str, Style]] = {
    CallOutcome.OK: Style.GOOD,
    CallOutcome.TOOL_ERROR: Style.WARN,
    CallOutcome.DENIED: Style.BAD,
    CallOutcome.HIDDEN: Style.BAD,
    CallOutcome.BLOCKED: Style.BAD,
    CallOutcome.LIMITED: Style.WARN,
    CallOutcome.GUARDED: Style.BAD,
    CallOutcome.REFUSED: Style.BAD,
    CallOutcome.FAILED: Style.BAD,
}
"""How the word for an outcome is shown."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One message of a client. ``proxy`` is ``namespace/name``, empty where no proxy matched.

    ``seconds`` is the duration. ``policy``, ``rule`` and ``reason`` explain a denial; ``detail`` any other failure.
    """

    method: str
    target: str
    proxy: str
    outcome: CallOutcome
    seconds: float
    policy: str = ""
    rule: str = ""
    reason: str = ""
    detail: str = ""
    #: What rules about content found, each as its detector and what was done.
    found: tuple[str, ...] = ()

    @property
    def is_shown_by_default(self) -> bool:
        """Whether it is shown by default: tool calls, and what a proxy refused or failed."""
        if self.method == "tools/call" or self.outcome is CallOutcome.REFUSED:
            return True
        return bool(self.proxy and self.method) and self.outcome is not CallOutcome.OK

    @property
    def what(self) -> str:
        """The tool that was called, or the method and its target."""
        return self.target if self.method == "tools/call" else f"{self.method} {self.target}".rstrip()

    @property
    def why(self) -> str:
        """Which policy denied it, what failed, and what masks and guards found; else empty."""
        found = f"[{', '.join(self.found)}]" if self.found else ""
        return printable(" ".join(filter(None, (*self._reasons(), found))), limit=300)

    def _reasons(self) -> Iterator[str]:
        if self.outcome not in (CallOutcome.DENIED, CallOutcome.HIDDEN, CallOutcome.BLOCKED):
            yield self.detail
        elif self.rule and not self.policy:
            yield f"by routing rule {self.rule} ({self.reason})"
        elif self.rule:
            yield f"by rule {self.rule} of policy {self.policy}"
        elif self.policy:
            yield f"no rule of policy {self.policy} allows it"
        else:
            yield self.reason


def line(call: CallRecord) -> str:
    """Return the columns that follow the time and the outcome."""
    name = call.proxy.removeprefix("default/")
    milliseconds = f"{call.seconds * 1000:.0f} ms"
    return f"{printable(name):<18}  {printable(call.what):<22}  {milliseconds:>8}  {call.why}".rstrip()
