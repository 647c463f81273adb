"""What a check says: nothing, or a refusal. A chain of checks says the first refusal of its members."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, ParamSpec

from ostiary_operator.api.reason import Reason

P = ParamSpec("P")


class ResourceRejection(NamedTuple):
    """Why a resource may not be used as it is: a reason for machines, a message with object, field and remedy."""

    reason: Reason
    message: str


def first_rejection(
    checks: Iterable[Callable[P, ResourceRejection | None]], *args: P.args, **kwargs: P.kwargs
) -> ResourceRejection | None:
    """Ask the checks in order; the first refusal is the answer."""
    for check in checks:
        rejection = check(*args, **kwargs)
        if rejection is not None:
            return rejection
    return None
