"""The decision on one name, and its reason."""

import enum
from typing import NamedTuple, Protocol

from ostiary_core.policy.message_conditions import Call


class DecisionReason(enum.StrEnum):
    """The reason of a decision, recorded in telemetry.

    Callers learn only what their errors say.
    """

    OPEN = "Open"
    ALLOWED = "Allowed"
    DENIED = "Denied"
    NOT_ALLOWED = "NotAllowed"
    INSUFFICIENT_SCOPE = "InsufficientScope"
    ARGUMENT_NOT_ALLOWED = "ArgumentNotAllowed"
    CONDITION_NOT_MET = "ConditionNotMet"
    EXPRESSION_ERROR = "ExpressionError"
    NOT_IN_CATALOGUE = "NotInCatalogue"
    AMBIGUOUS_URI = "AmbiguousURI"
    NAME_TOO_LONG = "NameTooLong"
    NO_POLICY = "NoPolicy"
    POLICY_INVALID = "PolicyInvalid"
    NO_ROUTE = "NoRoute"


class Decision(NamedTuple):
    """The decision on one (primitive, verb, name), with its origin.

    ``policy`` is ``namespace/name``, or empty; ``generation`` is the policy's. ``missing_scopes`` are set where the
    caller lacks only scopes: all scopes that the call needs. ``requirements`` say what the arguments must be, in words
    for the caller. A decision with a ``pending`` part depends on the message; ``allowed`` then means that some message
    could be allowed. :meth:`Visibility.decide` returns none of these.
    """

    allowed: bool
    reason: DecisionReason
    policy: str = ""
    rule: str = ""
    generation: int = 0
    missing_scopes: frozenset[str] = frozenset()
    requirements: tuple[str, ...] = ()
    pending: "PendingDecision | None" = None

    def resolve(self, call: Call | None) -> "Decision":
        """Return the decision on a message. Without one, conditions fail."""
        return self if self.pending is None else self.pending.resolve(call)


class PendingDecision(Protocol):
    """What is left to decide once the message is known."""

    def resolve(self, call: Call | None) -> Decision:
        """Return the decision on a message. Without one, conditions fail."""
