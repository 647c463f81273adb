"""What was worked out for callers, for as long as they live."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar
from weakref import ref

from ostiary_core.policy.principal import Principal

#: The callers that one memo knows; the least recently used one is forgotten first.
_CALLERS: Final = 1024

Value = TypeVar("Value")


class PrincipalMemo(Generic[Value]):
    """One value for each caller, by identity: no principal lives longer because of it."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        #: By the address of the principal, which another one may have after its end.
        self._known: dict[int, tuple[ref[Principal], Value]] = {}

    def of(self, principal: Principal, make: Callable[[Principal], Value]) -> Value:
        """Return the value of a caller; ``make`` works it out where it is not known."""
        found = self._known.pop(id(principal), None)
        if found is None or found[0]() is not principal:
            found = ref(principal), make(principal)
            if len(self._known) >= _CALLERS:
                del self._known[next(iter(self._known))]
        self._known[id(principal)] = found  # the most recently used comes last
        return found[1]
