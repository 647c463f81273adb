"""Names of tools, arguments and definitions, made from what a document calls them.

Models and clients take letters, digits, ``_``, ``-`` and ``.`` only (specification, Tool Names). Names are never
shortened: two could become one.
"""

import re
from typing import Final

from ostiary_core.exposed_names import LONGEST_NAME

_STRANGE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
#: The longest name of an argument that models take.
LONGEST_ARGUMENT: Final = 64


def plain_name(text: str) -> str:
    """Return a text with ``_`` in place of what a name may not hold; empty if nothing is left."""
    return _STRANGE.sub("_", text).strip("_.-")


def tool_name(operation_id: str | None, method: str, path: str) -> str | None:
    """Return the name of an operation's tool; None if it has none that is short enough.

    Without an id it is made of method and path: ``get_orders_id`` for ``GET /orders/{id}``.
    """
    name = plain_name(operation_id) if operation_id else ""
    name = name or f"{method.lower()}_{plain_name(path)}".rstrip("_")
    return name if len(name) <= LONGEST_NAME else None


def argument_name(parameter: str) -> str | None:
    """Return the name of the argument of a parameter; None if it has none."""
    name = plain_name(parameter)
    return name if name and len(name) <= LONGEST_ARGUMENT else None
