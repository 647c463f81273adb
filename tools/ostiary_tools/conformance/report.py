"""Renders the page `docs/conformance.md` from the results of a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ostiary_tools.conformance.compare import REFUSED_ON_PURPOSE, refusal
from ostiary_tools.conformance.suite import BRIDGED
from ostiary_tools.conformance.testbed import WAYS

if TYPE_CHECKING:
    from ostiary_tools.conformance.main import Result

_NAMES: Final = {"python": "Python SDK 2.3.0", "typescript": "TypeScript SDK 2.4.0"}

_PAGE: Final = """\
<!-- Written by `make conformance WRITE_DOCS=1`. Do not edit. -->
# Conformance

Ostiary relays the Model Context Protocol and must not change it. The official conformance suite
(`@modelcontextprotocol/conformance`) runs against two servers with every fixture that it needs, one on the official
Python SDK and one on the official TypeScript SDK. It runs four times: directly, through a gateway without a policy,
through a gateway with a policy, and merged with two other servers behind one endpoint. The policy admits anonymous
callers besides those with a key, and allows them everything by name and by a condition on the message. So every message
passes the code that authenticates callers, filters lists and judges calls. Merged, the server is the one without a
prefix among three. No check may be worse than it is directly. `make conformance` repeats it, and so does `make test`.

Checks passed/failed, as the suite counts them; each cell is a separate run of the suite.

{table}

## Across eras

The same legs, with servers that speak the other era only: clients of the revisions with sessions at a server of
2026-07-28, and clients of 2026-07-28 at a server that knows sessions only. The gateway translates
([how](guides/eras.md)). They are compared with a direct run at the same server when it speaks both eras.

{bridged}

{differences}

## Refused on purpose

What a server accepts and the gateway refuses. The list is in the code, with its reasons; a run fails if an entry is no
longer needed.

{refusals}
"""

_DIFFERENCES: Final = """\
What is different, and why. The list is in the code; a run fails if an entry is no longer needed, or if anything else is
worse.
"""


def row(result: "Result") -> str:
    """Return the table row of a leg against a server."""
    scores = " | ".join(each.score for each in result.through.values())
    expected = sorted(
        {
            each.key.scenario
            for way, found in result.worse.items()
            for each in found
            if refusal(result.leg.name, way, each)
        }
    )
    word = "is different" if result.leg in BRIDGED else "refused on purpose"
    notes = ", ".join(f"`{scenario}` {word}" for scenario in expected)
    worse = len(result.lost)
    verdict = f"**{worse} worse**" if worse else "none worse"
    cells = (_NAMES[result.server], result.leg.name, str(result.direct.scenarios), result.direct.score, scores)
    return f"| {' | '.join(cells)} | {verdict}{'; ' + notes if notes else ''} |"


def tables(results: Sequence["Result"]) -> tuple[str, str]:
    """Return the table of the native legs, and that of the legs through a bridge."""
    native = [each for each in results if each.leg not in BRIDGED]
    bridged = [each for each in results if each.leg in BRIDGED]
    return _table([way.title() for way in WAYS], native), _table(["Bridged"], bridged)


def _table(ways: Sequence[str], results: Sequence["Result"]) -> str:
    head = ["Server", "Suite, revision", "Scenarios", "Direct", *ways, "Difference"]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *map(row, results)])


def page(native: str, bridged: str) -> str:
    """Return the page with these tables."""
    across = {leg.name for leg in BRIDGED}
    reasons = sorted({(each.leg, each.scenario, each.reason) for each in REFUSED_ON_PURPOSE})
    lines = [f"- **{scenario}** ({leg}): {reason}" for leg, scenario, reason in reasons if leg not in across]
    different = [f"- **{scenario}** ({leg}): {reason}" for leg, scenario, reason in reasons if leg in across]
    return _PAGE.format(
        table=native,
        bridged=bridged,
        differences="\n".join([_DIFFERENCES, *different]) if different else "Nothing is worse.",
        refusals="\n".join(lines) or "Nothing.",
    )
