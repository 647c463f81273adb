"""Detect members that only look like the members that are judged.

JSON compares member names exactly, but some readers do not: Go's ``encoding/json`` takes ``Name`` for ``name``, and of
two it takes the last. So ``{"name": "a", "Name": "b"}`` would be judged as ``a`` and executed as ``b``.
"""

from typing import Any, Final

_JUDGED: Final = frozenset(
    {
        "name",
        "uri",
        "taskId",
        "arguments",
        "_meta",
        "protocolVersion",
        "ref",
        "type",
        "notifications",
        "resourceSubscriptions",
        "taskIds",
    }
)
_BY_FOLD: Final = {member.casefold(): member for member in _JUDGED}


def case_variant(members: dict[str, Any]) -> str | None:
    """Return the first member whose name differs from a judged one only in case.

    It is None where there is none.
    """
    if members.keys() <= _JUDGED:
        return None
    for member in members:
        if _BY_FOLD.get(member.casefold(), member) != member:
            return member
    return None
