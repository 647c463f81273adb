"""Texts that several conditions of statuses use."""

import functools
from collections.abc import Iterable, Sequence
from typing import Final

from ostiary_core.closest_name import Nearest
from ostiary_operator.api.conditions import MESSAGE_LIMIT, ConditionStatus, ConditionType
from ostiary_operator.api.reasons import Reason
from ostiary_operator.compile.model import ConditionDraft, ObjectKey

#: The most names in a message.
NAMED: Final = 5
#: The most names that a mistyped one is compared with; among more, the nearest means little and costs time.
_COMPARED: Final = 64


def joined(message: str, sentence: str) -> str:
    """Append a sentence; to a message of several lines, as a new line."""
    if not sentence:
        return message
    return f"{message}\n{sentence}" if "\n" in message else f"{message.rstrip('.?!')}. {sentence}"


def condition(kind: ConditionType, status: ConditionStatus, reason: Reason, message: str) -> ConditionDraft:
    """Return a condition whose message is short enough and valid Unicode."""
    # Text from users may contain lone surrogates, which no output accepts.
    text = message[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()
    return ConditionDraft(kind.value, status.value, reason.value, text)


def identity(key: ObjectKey) -> str:
    """Return the name of a resource in messages."""
    return f"{key.kind} {key.namespace}/{key.name}"


def listing(names: Iterable[str]) -> str:
    """List the first few names, and count the rest."""
    found = sorted(names)
    listed = ", ".join(found[:NAMED])
    return f"{listed} and {len(found) - NAMED} more" if len(found) > NAMED else listed


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the most similar known name; empty where none is similar or there are too many."""
    return _nearest(name, tuple(known)) if len(known) <= _COMPARED else ""


@functools.lru_cache(maxsize=4096)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    return Nearest(known).to(name)
