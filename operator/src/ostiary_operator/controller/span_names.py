"""The names of the operator's spans and attributes.

A test pins them, and generates their reference.
"""

from enum import StrEnum
from typing import Final

#: The instrumentation scope, and the default ``service.name``, of the operator's spans.
SCOPE: Final = "ostiary.operator"
SERVICE: Final = "ostiary-operator"


class SpanName(StrEnum):
    """The names of spans. Those with a kind of object are followed by it."""

    CHANGE = "change"
    QUEUED = "queued"
    RECONCILE = "reconcile"
    LIST = "list"
    COMPILE = "compile"
    DELIVER = "deliver"
    WRITE = "write"
    ENFORCED = "enforced by replica"
    STATUSES = "write statuses"

    def of(self, kind: str) -> str:
        """Return the name for one kind of object."""
        return f"{self} {kind}"


class SpanAttribute(StrEnum):
    """The attributes of spans."""

    EVENT = "ostiary.change.event"
    KIND = "ostiary.change.kind"
    NAMESPACE = "ostiary.object.namespace"
    NAME = "ostiary.object.name"
    GENERATION = "ostiary.change.generation"
    FIELD_MANAGER = "ostiary.change.field_manager"
    REASONS = "ostiary.pass.reasons"
    CHANGES = "ostiary.pass.changes"
    GATEWAY = "ostiary.gateway"
    REVISION = "ostiary.config.revision"
    CHANGED_ENTRIES = "ostiary.config.changed_entries"
    REPLICA = "ostiary.replica"
    OBJECTS = "ostiary.objects"
    ERROR_TYPE = "error.type"
