"""Findings of validation: the place in a file, what is wrong, and the remedy."""

import enum
from dataclasses import asdict, dataclass
from typing import Any


class Severity(enum.StrEnum):
    """How bad a finding is. An error keeps an object from being used.

    A warning may be harmless in a cluster.
    """

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning in a file.

    ``line`` and ``column`` count from 1; 0 where they are not known. ``kind``, ``namespace`` and ``name`` name the
    object, empty where there is none. ``field`` is a path such as `spec.servers[0].url`; empty is the whole object.
    """

    severity: Severity
    file: str
    line: int
    column: int
    kind: str
    namespace: str
    name: str
    field: str
    message: str
    remedy: str

    @property
    def place(self) -> str:
        """``file:line:column``, which editors and terminals turn into links."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def subject(self) -> str:
        """The object, as ``MCPProxy tools/crm``; empty where there is none."""
        if not self.kind:
            return ""
        return f"{self.kind} {self.namespace}/{self.name}" if self.name else self.kind

    @property
    def fault(self) -> str:
        """The finding without its place: object and field, what is wrong, the remedy."""
        where = ": ".join(part for part in (self.subject, self.field) if part)
        what = _sentence(f"{where}: {self.message}") if where else _sentence(_capital(self.message))
        return f"{what} {_sentence(_capital(self.remedy))}".rstrip()

    def __str__(self) -> str:
        mark = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.place}: {mark}{self.fault}"

    def as_object(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."


def in_order(findings: list[Finding]) -> list[Finding]:
    """Return findings sorted by file, line and column."""
    return sorted(findings, key=lambda it: (it.file, it.line, it.column, it.severity, it.field, it.message))
