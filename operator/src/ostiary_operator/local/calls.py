"""What an agent did, as one line: when, at which door, which tool, how it ended, how long it took, and who said no."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from ostiary_operator.local.console import Style, printable


class CallOutcome(enum.Enum):
    """How a call ended: the word, and how it is shown."""

    OK = ("ok", Style.GOOD)
    TOOL_ERROR = ("tool error", Style.WARN)
    DENIED = ("denied", Style.BAD)
    HIDDEN = ("hidden", Style.BAD)
    FAILED = ("failed", Style.BAD)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One message of an agent. ``proxy`` is ``namespace/name``, empty where there was none; the time is in seconds.

    ``policy``, ``rule`` and ``reason`` are the evidence of a refusal; ``detail`` says what went wrong otherwise.
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

    @property
    def worth_a_line(self) -> bool:
        """Tool calls are, and whatever was refused or failed at a door. Handshakes and lists are not."""
        return self.method == "tools/call" or (bool(self.proxy and self.method) and self.outcome is not CallOutcome.OK)

    @property
    def what(self) -> str:
        """The tool that was called, or the method with what it is about."""
        return self.target if self.method == "tools/call" else f"{self.method} {self.target}".rstrip()

    @property
    def why(self) -> str:
        """Who refused it, or what went wrong; empty where all went well."""
        return printable(" ".join(self._reasons()), limit=300)

    def _reasons(self) -> Iterator[str]:
        if self.outcome not in (CallOutcome.DENIED, CallOutcome.HIDDEN):
            yield self.detail
        elif self.rule:
            yield f"by rule {self.rule} of policy {self.policy}"
        elif self.policy:
            yield f"no rule of policy {self.policy} allows it"
        else:
            yield self.reason


def line(call: CallRecord) -> str:
    """Return the parts behind the time and the outcome, in columns."""
    name = call.proxy.removeprefix("default/")
    milliseconds = f"{call.seconds * 1000:.0f} ms"
    return f"{printable(name):<18}  {printable(call.what):<22}  {milliseconds:>8}  {call.why}".rstrip()
