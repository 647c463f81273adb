"""What one caller may do with a name: see it, use it, or both.

The gateway answers callers about themselves with it, and `ostiary access` prints a matrix of it.
"""

import enum

from ostiary_core.mcp.methods import USE, Primitive
from ostiary_core.policy.visibility import Visibility


class NameAccess(enum.StrEnum):
    """What a caller may do with a name."""

    USE = "use"
    CONDITIONAL = "if"
    """It depends on the message: arguments, headers, or an expression that reads them."""
    SEE = "see"
    BLIND = "use unseen"
    NONE = "-"


def name_access(view: Visibility, primitive: Primitive, name: str) -> NameAccess:
    """Return the access to a name; ``view`` is that of one caller.

    See :meth:`Visibility.for_principal`.
    """
    is_shown = view.shows(primitive, name)
    if view.decide(primitive, USE[primitive], name).allowed:
        return NameAccess.USE if is_shown else NameAccess.BLIND
    if is_shown and _is_conditional(view, primitive, name):
        return NameAccess.CONDITIONAL
    return NameAccess.SEE if is_shown else NameAccess.NONE


def visible_access(view: Visibility, primitive: Primitive, name: str) -> NameAccess | None:
    """Return the access to a name that the caller may see, None for any other name.

    A caller that asks learns no more than from its lists and its calls.
    """
    return name_access(view, primitive, name) if view.shows(primitive, name) else None


def _is_conditional(view: Visibility, primitive: Primitive, name: str) -> bool:
    """Return whether some message with this name could be allowed."""
    decision = view.access.decide(primitive, USE[primitive], name)
    return view.refusal is None and decision.pending is not None and decision.allowed
