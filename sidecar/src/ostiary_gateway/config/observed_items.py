"""The names that servers offer, learned from lists that passed through.

They serve to report rules that name something else.

No request is sent for this. A list is complete when its last page has passed; a name stays known until the proxy's
policies change, since one caller may be offered less than another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from ostiary_core.mcp.methods import Method, Primitive
from ostiary_core.policy.unmatched_names import LISTED, ExactName, Slip, exact_names, find
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.config.runtime import ProxyRuntime

#: Names of one primitive that are remembered for one proxy; nothing is reported of a server with more.
_NAMES: Final = 500
_LENGTH: Final = 128


class PageRequest(Protocol):
    """The request for one page of a list."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Its params; a ``cursor`` names the page."""
        ...


@dataclass(slots=True)
class _KnownNames:
    """The known names of one primitive. ``awaited`` is the cursor of the page that comes next."""

    names: set[str] = field(default_factory=set)
    awaited: str | None = None
    complete: bool = False

    @property
    def usable(self) -> bool:
        return self.complete and len(self.names) <= _NAMES

    def learn(self, items: list[Any], key: str, *, cursor: object, following: object) -> bool:
        """Add the names of a page; return whether anything is new."""
        before = (len(self.names), self.complete)
        known = self.names
        if len(known) <= _NAMES:
            found = [item.get(key) for item in items[: _NAMES + 1] if isinstance(item, dict)]
            known.update(
                [name for name in found if isinstance(name, str) and name not in known and len(name) <= _LENGTH]
            )
        if cursor is None or cursor == self.awaited:
            self.awaited = following if isinstance(following, str) else None
            self.complete = self.complete or self.awaited is None
        return before != (len(self.names), self.complete)


@dataclass(slots=True)
class _ProxyNames:
    """The known names of one proxy under its present policies."""

    exact: tuple[ExactName, ...]
    known: dict[Primitive, _KnownNames] = field(default_factory=dict)
    slips: tuple[Slip, ...] | None = None


class OfferedNames:
    """The known names of every proxy; they are forgotten when the proxy's policies change."""

    def __init__(self) -> None:
        self._proxies: WeakKeyDictionary[Visibility, _ProxyNames] = WeakKeyDictionary()

    def learn(
        self, proxy: ProxyRuntime, request: PageRequest | None, method: Method | None, message: Mapping[str, Any]
    ) -> None:
        """Learn from the response to a request for a list, before anything is filtered out."""
        result = message.get("result")
        if method is None or method.primitive not in LISTED or not isinstance(result, dict):
            return
        items = result.get(method.list_key)
        of_proxy = self._of(proxy)
        if not isinstance(items, list) or not of_proxy.exact or request is None:
            return
        known = of_proxy.known.setdefault(method.primitive, _KnownNames())
        cursor = request.params.get("cursor")
        if known.learn(items, method.item_key, cursor=cursor, following=result.get("nextCursor")):
            of_proxy.slips = None

    def of(self, proxy: ProxyRuntime) -> tuple[tuple[Primitive, ...], tuple[Slip, ...]]:
        """Return the primitives with all names known, and the names in rules missing there."""
        of_proxy = self._of(proxy)
        offered = {kind: known.names for kind, known in of_proxy.known.items() if known.usable}
        if of_proxy.slips is None:
            of_proxy.slips = find(of_proxy.exact, offered)
        return tuple(sorted(offered)), of_proxy.slips

    def _of(self, proxy: ProxyRuntime) -> _ProxyNames:
        found = self._proxies.get(proxy.visibility)
        if found is None:
            found = _ProxyNames(exact_names(proxy.policies.values(), proxy.visibility.names))
            self._proxies[proxy.visibility] = found
        return found


#: The names known to this process.
OFFERED: Final = OfferedNames()
