"""Compares a run through the gateway with the direct one; lists expected differences."""

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

from ostiary_tools.conformance.suite import CheckKey, CheckOutcome, Run

_RANK: Final = {"SUCCESS": 0, "INFO": 1, "SKIPPED": 2, "WARNING": 3, "FAILURE": 4, "ABSENT": 5}
_ABSENT: Final = CheckOutcome("ABSENT", "the check did not run")
_NOTHING: Final = CheckOutcome("INFO")


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """A check that is worse through the gateway.

    Attributes:
        key: the check.
        direct: its outcome without the gateway.
        through: its outcome through the gateway.
    """

    key: CheckKey
    direct: CheckOutcome
    through: CheckOutcome

    def __str__(self) -> str:
        key = self.key
        change = f"{self.direct.status} became {self.through.status}"
        return f"{key.scenario}: {key.check} ({key.name}): {change}: {self.through.message}"


@dataclasses.dataclass(frozen=True, slots=True)
class ExpectedRefusal:
    """A scenario of one leg that is worse through the gateway on purpose.

    That holds for all of its checks, or for those that are named.

    Attributes:
        leg: the leg's name.
        way: how the gateway is used, one of the testbed's ways or `bridged`.
        scenario: the scenario.
        reason: why, for the table in the docs.
        checks: the ids of the checks; empty for all of them.
    """

    leg: str
    way: str
    scenario: str
    reason: str
    checks: frozenset[str] = frozenset()

    def explains(self, leg: str, way: str, difference: Difference) -> bool:
        """Return whether it is the reason of a difference."""
        key = difference.key
        is_named = not self.checks or key.check in self.checks
        return (self.leg, self.way, self.scenario) == (leg, way, key.scenario) and is_named


_JSON: Final = (
    "lists of several servers and answers of a bridge are made by the gateway, which writes them as one JSON document; "
    "event streams are optional"
)
_NO_RESUMPTION: Final = (
    "the stateless revision cannot resume a stream, so the gateway offers no event ids; a stream of the gateway is not "
    "closed early, so nothing has to be resumed"
)
_NO_KEY: Final = "a question of a server with sessions has no key; the gateway chooses one, the suite looks for another"
_OWN_ERRORS: Final = "a server with sessions has no error for a missing capability; its own error has no other meaning"
_ONE_BY_ONE: Final = "a server with sessions asks one question after the other, each in a round of its own"
_ERAS: Final = ("0.1.16", "0.2.0-alpha.12, 2025-11-25")
_STATELESS: Final = "0.2.0-alpha.12, 2026-07-28, bridged"
_STREAMS: Final = "server-sse-multiple-streams"
#: The expected refusals, each with the reason that the page shows. Legs through a bridge have names of their own.
REFUSED_ON_PURPOSE: Final[tuple[ExpectedRefusal, ...]] = (
    *(ExpectedRefusal(leg, "merged", _STREAMS, _JSON) for leg in _ERAS),
    *(ExpectedRefusal(f"{leg}, bridged", "bridged", _STREAMS, _JSON) for leg in _ERAS),
    *(ExpectedRefusal(f"{leg}, bridged", "bridged", "server-sse-polling", _NO_RESUMPTION) for leg in _ERAS),
    *(
        ExpectedRefusal(_STATELESS, "bridged", f"input-required-result-{name}", reason)
        for name, reason in (
            ("basic-elicitation", _NO_KEY),
            ("ignore-extra-params", _NO_KEY),
            ("multiple-input-requests", _ONE_BY_ONE),
        )
    ),
    ExpectedRefusal(
        _STATELESS,
        "bridged",
        "server-stateless",
        _OWN_ERRORS,
        checks=frozenset({"sep-2575-missing-capability-http-400", "sep-2575-server-rejects-undeclared-capability"}),
    ),
)


def differences(direct: Run, through: Run) -> list[Difference]:
    """Return every check that is worse through the gateway, expected or not.

    A better one is no difference.
    """
    found = []
    for key in sorted({*direct.outcomes, *through.outcomes}):
        found += _worse(key, direct.outcomes.get(key, ()), through.outcomes.get(key, ()))
    return found


def refusal(leg: str, way: str, difference: Difference) -> ExpectedRefusal | None:
    """Return the expected refusal that explains a difference, or None."""
    return next((each for each in REFUSED_ON_PURPOSE if each.explains(leg, way, difference)), None)


def stale(leg: str, way: str, differing: Iterable[Difference]) -> list[ExpectedRefusal]:
    """Return the expected refusals of a leg that explain none of the differences."""
    needed = {refusal(leg, way, each) for each in differing}
    return [each for each in REFUSED_ON_PURPOSE if (each.leg, each.way) == (leg, way) and each not in needed]


def _worse(key: CheckKey, direct: Sequence[CheckOutcome], through: Sequence[CheckOutcome]) -> list[Difference]:
    """Compare the outcomes of one check, sorted by rank: the suite does not order them."""
    pairs = zip_longest(sorted(direct, key=_rank, reverse=True), sorted(through, key=_rank, reverse=True))
    found = []
    for before, after in pairs:
        was = before or _NOTHING  # a check that runs only through the gateway may be INFO, but not worse
        became = after or (_ABSENT if was.status != "INFO" else _NOTHING)
        if _rank(became) > _rank(was):
            found.append(Difference(key, was, became))
    return found


def _rank(outcome: CheckOutcome) -> int:
    return _RANK[outcome.status]
