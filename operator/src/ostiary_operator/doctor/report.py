"""What a doctor says, line by line as he finds it, or as one object."""

import textwrap
from collections.abc import Sequence
from typing import Any, Final

from ostiary_operator.doctor.model import Check, CheckResult, CheckState
from ostiary_operator.local.console import Style
from ostiary_operator.view.tables import Paint

_STYLES: Final = {
    CheckState.OK: Style.GOOD,
    CheckState.WARNING: Style.WARN,
    CheckState.UNKNOWN: Style.WARN,
    CheckState.BROKEN: Style.BAD,
}
_WIDTH: Final = 110
_STATE: Final = 10
_NAME: Final = 13

Findings = Sequence[tuple[Check, CheckResult]]


def line(link: Check, finding: CheckResult, paint: Paint) -> str:
    """Return what was found at one link; what to do follows below it."""
    head = f"  {paint(f'{finding.state:<{_STATE}}', _STYLES[finding.state])}{link.name:<{_NAME}}"
    indent = " " * (2 + _STATE + _NAME)
    words = [finding.detail, *(f"What to do: {finding.remedy}".split("\n") if finding.remedy else ())]
    told = "\n".join(f"{indent}{each}" if each.startswith(" ") else _wrapped(each, indent) for each in words)
    return f"{head}{told.removeprefix(indent)}\n"


def _wrapped(words: str, indent: str) -> str:
    return textwrap.fill(
        words, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def verdict(findings: Findings, paint: Paint) -> str:
    """Return the last line: which link is broken, if any."""
    broken = first_broken(findings)
    if broken is not None:
        return paint(f"The first broken link: {broken}.", Style.BAD) + "\n"
    open_ones = sum(finding.state is not CheckState.OK for _, finding in findings)
    return paint("No link is broken.", Style.GOOD) + (f" {open_ones} to look at.\n" if open_ones else "\n")


def first_broken(findings: Findings) -> str | None:
    """Return the name of the broken link."""
    return next((link.name for link, finding in findings if finding.state is CheckState.BROKEN), None)


def as_object(proxy: str | None, findings: Findings) -> dict[str, Any]:
    """Return the findings of one MCPProxy for programs."""
    links = [
        {"name": link.name, "state": finding.state.value, "detail": finding.detail, "remedy": finding.remedy}
        for link, finding in findings
    ]
    return {"proxy": proxy, "broken": first_broken(findings), "links": links}
