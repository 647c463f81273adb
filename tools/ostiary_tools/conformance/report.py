"""Renders the page `docs/conformance.md` from the results of a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ostiary_tools.conformance.compare import REFUSED_ON_PURPOSE, refusal
from ostiary_tools.conformance.testbed import WAYS

if TYPE_CHECKING:
    from ostiary_tools.conformance.main import Result

_NAMES: Final = {"python": "Python SDK 2.3.0", "typescript": "TypeScript SDK 2.4.0"}

_PAGE: Final = """\
<!-- Written by `make conformance WRITE_DOCS=1`. Do not edit. -->
# Conformance

Ostiary relays the Model Context Protocol and must not change it. The official conformance suite
(`@modelcontextprotocol/conformance`) runs against two servers with every fixture that it needs, one on the official
Python SDK and one on the official TypeScript SDK. It runs three times: directly, through a gateway without a policy,
and through a gateway with a policy. The policy admits anonymous callers besides those with a key, and allows them
everything by name and by a condition on the message. So every message passes the code that authenticates callers,
filters lists and judges calls. No check may be worse than it is directly. `make conformance` repeats it, and so does
`make test`.

Checks passed/failed, as the suite counts them; each cell is a separate run of the suite.

{table}

## Refused on purpose

What a server accepts and the gateway refuses. The list is in the code, with its reasons; a run fails if an entry is no
longer needed.

{refusals}
"""


def row(result: "Result") -> str:
    """Return the table row of a leg against a server."""
    scores = " | ".join(result.through[way].score for way in WAYS)
    expected = sorted(
        {each.key.scenario for found in result.worse.values() for each in found if refusal(result.leg.name, each)}
    )
    notes = ", ".join(f"`{scenario}` refused on purpose" for scenario in expected)
    worse = len(result.lost)
    verdict = f"**{worse} worse**" if worse else "none worse"
    cells = (_NAMES[result.server], result.leg.name, str(result.direct.scenarios), result.direct.score, scores)
    return f"| {' | '.join(cells)} | {verdict}{'; ' + notes if notes else ''} |"


def table(results: Sequence["Result"]) -> str:
    """Return the whole table."""
    head = "| Server | Suite, revision | Scenarios | Direct | Ungoverned | Governed | Difference |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *map(row, results)])


def page(table: str) -> str:
    """Return the page with this table."""
    reasons = {(each.leg, each.scenario, each.reason) for each in REFUSED_ON_PURPOSE}
    lines = [f"- **{scenario}** ({leg}): {reason}" for leg, scenario, reason in sorted(reasons)]
    return _PAGE.format(table=table, refusals="\n".join(lines) or "Nothing.")
