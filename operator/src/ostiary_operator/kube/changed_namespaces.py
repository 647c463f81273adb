"""Which namespaces a pass has to read again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ChangedNamespaces:
    """The namespaces with changes; None where any namespace may have changed."""

    namespaces: frozenset[str] | None

    @classmethod
    def within(cls, namespaces: Iterable[str]) -> "ChangedNamespaces":
        """Return changes in these namespaces and, as far as known, in no others."""
        return cls(frozenset(namespaces))

    def includes(self, namespace: str) -> bool:
        """Return whether a namespace may have changed."""
        return self.namespaces is None or namespace in self.namespaces

    def __or__(self, other: "ChangedNamespaces") -> "ChangedNamespaces":
        if self.namespaces is None or other.namespaces is None:
            return EVERYTHING
        return ChangedNamespaces(self.namespaces | other.namespaces)


EVERYTHING: Final = ChangedNamespaces(None)
NOTHING: Final = ChangedNamespaces(frozenset())
