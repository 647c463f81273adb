"""Whether a run through the gateway is worse than the direct one, and where that is on purpose."""

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

from ostiary_tools.conformance_suite import CheckKey, CheckOutcome, Run

_RANK: Final = {"SUCCESS": 0, "INFO": 1, "SKIPPED": 2, "WARNING": 3, "FAILURE": 4, "ABSENT": 5}
_ABSENT: Final = CheckOutcome("ABSENT", "the check did not run")
_NOTHING: Final = CheckOutcome("INFO")


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """A check that is worse through the gateway.

    Attributes:
        key: which.
        direct: what it is without the gateway.
        through: what it is with it.
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
    """What the door refuses on purpose, and a server lets pass: a scenario of one leg, with all of its checks.

    Attributes:
        leg: the leg's name.
        scenario: the scenario.
        reason: why, for the table in the docs.
    """

    leg: str
    scenario: str
    reason: str


#: What servers let pass and the door does not, with its reason, which the table shows. None at present.
REFUSED_ON_PURPOSE: Final[tuple[ExpectedRefusal, ...]] = ()


def differences(direct: Run, through: Run) -> list[Difference]:
    """Every check that is worse through the gateway, on purpose or not. That one is better is no difference."""
    found = []
    for key in sorted({*direct.outcomes, *through.outcomes}):
        found += _worse(key, direct.outcomes.get(key, ()), through.outcomes.get(key, ()))
    return found


def refusal(leg: str, difference: Difference) -> ExpectedRefusal | None:
    """The refusal that explains a difference, if one does."""
    named = (leg, difference.key.scenario)
    return next((each for each in REFUSED_ON_PURPOSE if (each.leg, each.scenario) == named), None)


def stale(leg: str, differing: Iterable[Difference]) -> list[ExpectedRefusal]:
    """Those refusals of a leg that none of the differences needs any more."""
    needed = {refusal(leg, each) for each in differing}
    return [each for each in REFUSED_ON_PURPOSE if each.leg == leg and each not in needed]


def _worse(key: CheckKey, direct: Sequence[CheckOutcome], through: Sequence[CheckOutcome]) -> list[Difference]:
    """Compare the outcomes of one key, the worst first: the suite may emit them in any order."""
    pairs = zip_longest(sorted(direct, key=_rank, reverse=True), sorted(through, key=_rank, reverse=True))
    found = []
    for before, after in pairs:
        was = before or _NOTHING  # a check that only runs through the gateway may inform, but not fail
        became = after or (_ABSENT if was.status != "INFO" else _NOTHING)
        if _rank(became) > _rank(was):
            found.append(Difference(key, was, became))
    return found


def _rank(outcome: CheckOutcome) -> int:
    return _RANK[outcome.status]
