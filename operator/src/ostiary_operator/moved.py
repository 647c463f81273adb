"""What a pass has to look at anew."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ChangedNamespaces:
    """The namespaces in which something happened; None where anything may have happened anywhere."""

    namespaces: frozenset[str] | None

    @classmethod
    def within(cls, namespaces: Iterable[str]) -> "ChangedNamespaces":
        """Something happened in these namespaces and, as far as we know, nowhere else."""
        return cls(frozenset(namespaces))

    def __or__(self, other: "ChangedNamespaces") -> "ChangedNamespaces":
        if self.namespaces is None or other.namespaces is None:
            return EVERYTHING
        return ChangedNamespaces(self.namespaces | other.namespaces)


EVERYTHING: Final = ChangedNamespaces(None)
NOTHING: Final = ChangedNamespaces(frozenset())
