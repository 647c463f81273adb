"""Words of statuses that several of their conditions use."""

import functools
from collections.abc import Iterable, Sequence
from typing import Final

from ostiary_core.nearest import Nearest
from ostiary_operator.api.reason import Reason
from ostiary_operator.api.status import MESSAGE_LIMIT, ConditionStatus, ConditionType
from ostiary_operator.compile.model import ConditionDraft, ObjectKey

#: Names in a message; a list of thousands helps nobody.
NAMED: Final = 5
#: Names that a mistyped one is compared with; among more the next best means little, and costs.
_COMPARED: Final = 64


def joined(message: str, sentence: str) -> str:
    """Append a sentence; a message of several lines gets it as a line of its own."""
    if not sentence:
        return message
    return f"{message}\n{sentence}" if "\n" in message else f"{message.rstrip('.?!')}. {sentence}"


def condition(kind: ConditionType, status: ConditionStatus, reason: Reason, message: str) -> ConditionDraft:
    """Return a condition whose message every output takes."""
    # What users wrote may hold lone surrogates, which no output takes.
    text = message[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()
    return ConditionDraft(kind.value, status.value, reason.value, text)


def identity(key: ObjectKey) -> str:
    """Return how messages name a resource."""
    return f"{key.kind} {key.namespace}/{key.name}"


def listing(names: Iterable[str]) -> str:
    """Name the first few, and count the rest."""
    found = sorted(names)
    told = ", ".join(found[:NAMED])
    return f"{told} and {len(found) - NAMED} more" if len(found) > NAMED else told


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the name that was probably meant; empty where none is like it, or there are too many to tell."""
    return _nearest(name, tuple(known)) if len(known) <= _COMPARED else ""


@functools.lru_cache(maxsize=4096)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    return Nearest(known).to(name)
