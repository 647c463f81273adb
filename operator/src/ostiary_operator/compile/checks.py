"""Checks return None or a rejection; a chain of checks returns the first rejection."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, ParamSpec

from ostiary_operator.api.reason import Reason

P = ParamSpec("P")


class ResourceRejection(NamedTuple):
    """Why a resource is not accepted: a reason, and a message with object, field and remedy."""

    reason: Reason
    message: str


def first_rejection(
    checks: Iterable[Callable[P, ResourceRejection | None]], *args: P.args, **kwargs: P.kwargs
) -> ResourceRejection | None:
    """Run the checks in order, and return the first rejection."""
    for check in checks:
        rejection = check(*args, **kwargs)
        if rejection is not None:
            return rejection
    return None
