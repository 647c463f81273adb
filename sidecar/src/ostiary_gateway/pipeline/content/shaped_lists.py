"""Shapes the definitions in lists that go to a caller, as the rules about content say.

Each item passes the rules that match its own name. What stands around the items passes all that could match. An item
that must not pass is left out.
"""

from dataclasses import dataclass
from typing import Any

from ostiary_core.content.content_rules import ContentRules, ItemRules
from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.contract.content import Direction
from ostiary_core.exposed_names import Owned
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Method, Primitive
from ostiary_gateway.pipeline.content.guarded_content import guarding_list
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import Steps
from ostiary_gateway.pipeline.pinned_definitions.pinned_lists import overriding


@dataclass(slots=True)
class ShapedDefinitions:
    """What rules did to a list.

    ``is_of_caller`` where it now holds what another caller must not get, such as a token.
    """

    is_changed: bool = False
    is_of_caller: bool = False
    findings: tuple[ContentFinding, ...] = ()


def shaping_definitions(
    exchange: Exchange, server: str | None, method: Method, message: dict[str, Any]
) -> Steps[ShapedDefinitions]:
    """Shape the response to a request for a list in place, in steps, after names were filtered.

    ``server`` is the name of the only server that it is of; None where servers are merged, of which a name says whose
    it is. Findings are not yet noted.
    """
    visibility, result = exchange.visibility, message.get("result")
    shaped = ShapedDefinitions()
    if visibility.definitions is not None and isinstance(result, dict):
        shaped.is_changed = overriding(visibility.definitions, method, result)
    content = visibility.content
    if content is not None and method.primitive is not None:
        yield from _Masking(exchange, content, server, method, method.primitive, shaped).masking(message)
    return shaped


@dataclass(slots=True)
class _Masking:
    """Masks the items of one list, and what stands around them."""

    exchange: Exchange
    content: ContentRules
    server: str | None
    method: Method
    primitive: Primitive
    shaped: ShapedDefinitions

    def masking(self, message: dict[str, Any]) -> Steps[None]:
        result, key = message.get("result"), self.method.list_key
        items = result.get(key) if isinstance(result, dict) else None
        unnamed = self._from(self.content.of_primitive(self.primitive), self.server)
        if not isinstance(result, dict) or not isinstance(items, list):
            yield from self._whole(message, unnamed)
            return
        around = {"result": {name: value for name, value in result.items() if name != key}}
        yield from self._whole(around, unnamed)
        items = yield from self._guarded(items)
        left: set[int] = set()
        for rules, group in self._groups(items):
            left |= set(map(id, (yield from self._items(rules, group))))
        message["result"] = {**around["result"], key: [item for item in items if id(item) in left]}

    def _guarded(self, items: list[dict[str, Any]]) -> Steps[list[dict[str, Any]]]:
        """Guard the items; return those that are left."""
        assert self.method.list_key is not None  # noqa: S101  it is a list
        owners = list(map(self._owned, items)) if self.exchange.visibility.names is not None else []
        guarded = yield from guarding_list(self.method.list_key, items, list(map(self._rules_of, items)), owners)
        self._note(is_changed=guarded.is_changed, is_of_caller=False)
        self.shaped.findings += guarded.findings
        return guarded.items

    def _groups(self, items: list[dict[str, Any]]) -> list[tuple[ItemRules | None, list[dict[str, Any]]]]:
        """Return the items by the rules that they have to pass."""
        groups: dict[ItemRules | None, list[dict[str, Any]]] = {}
        for item in items:
            groups.setdefault(self._rules_of(item), []).append(item)
        return list(groups.items())

    def _rules_of(self, item: dict[str, Any]) -> ItemRules | None:
        name = item.get(self.method.item_key)
        if isinstance(name, str):
            return self._from(self.content.of(self.primitive, name), self.server or self._owner(name))
        return self._from(self.content.of_primitive(self.primitive), self.server)

    def _owned(self, item: dict[str, Any]) -> Owned | None:
        names, name = self.exchange.visibility.names, item.get(self.method.item_key)
        return names.owner_of(self.primitive, name) if names is not None and isinstance(name, str) else None

    def _owner(self, name: str) -> str | None:
        """Return the name of the server that an item of a merged list is of."""
        names = self.exchange.visibility.names
        owned = names.owner_of(self.primitive, name) if names is not None else None
        return self.exchange.proxy.servers[owned.server].name if owned is not None else None

    @staticmethod
    def _from(rules: ItemRules | None, server: str | None) -> ItemRules | None:
        return rules.towards(frozenset({server})) if rules is not None and server is not None else rules

    def _whole(self, message: dict[str, Any], rules: ItemRules | None) -> Steps[None]:
        """Mask a message that is no item; where it must not pass, nothing of it is left."""
        if rules is None or not rules.masks:
            return
        masked = yield from rules.kept(MaskSet).masking(message, Direction.RESULTS, self.exchange.mask_keys)
        self._note(is_changed=masked.is_changed or masked.is_blocked, is_of_caller=masked.is_of_caller)
        self.shaped.findings += masked.findings
        if masked.is_blocked and "result" in message:
            message["result"] = {}
        elif masked.is_blocked:
            message["error"] = {"code": codes.DENIED, "message": "The server's answer was withheld"}

    def _items(self, rules: ItemRules | None, items: list[dict[str, Any]]) -> Steps[list[dict[str, Any]]]:
        """Mask items with the same rules; return those that are left."""
        if rules is None or not rules.masks:
            return items
        part: dict[str, Any] = {"result": {self.method.list_key: items}}
        masked = yield from rules.kept(MaskSet).masking(part, Direction.RESULTS, self.exchange.mask_keys)
        if masked.is_blocked and len(items) > 1:
            kept: list[dict[str, Any]] = []
            for item in items:
                kept += yield from self._items(rules, [item])
            return kept
        found: list[dict[str, Any]] = [] if masked.is_blocked else part["result"][self.method.list_key]
        self._note(is_changed=masked.is_changed or len(found) < len(items), is_of_caller=masked.is_of_caller)
        self.shaped.findings += masked.findings
        return found

    def _note(self, *, is_changed: bool, is_of_caller: bool) -> None:
        self.shaped.is_changed |= is_changed
        self.shaped.is_of_caller |= is_of_caller
