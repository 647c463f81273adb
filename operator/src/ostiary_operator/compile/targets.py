"""Finds the proxies that a policy targets, by name or by labels."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from ostiary_core.canonical import canonical
from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.documents import Tier
from ostiary_operator.api import labels
from ostiary_operator.api.policy import PolicySpec, TargetSelector
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.selectors import LabelSelector
from ostiary_operator.compile.messages import nearest
from ostiary_operator.compile.model import ObjectKey
from ostiary_operator.compile.resource_parser import ParsedProxy, PolicyContent

#: Different sets of prefixes with which the tests of one policy are judged.
_MOST_CATALOGUES: Final = 4


@dataclass(frozen=True, slots=True)
class Targeting:
    """The targets in a policy: proxies of its namespace by name, and a selector.

    ``unreadable`` is set where a part of them could not be parsed, so they may include any proxy in the policy's reach.
    """

    names: tuple[str, ...] = ()
    selector: TargetSelector | None = None
    unreadable: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it names no target at all."""
        return not self.names and self.selector is None and not self.unreadable

    @property
    def is_by_labels_of_proxies(self) -> bool:
        """Whether it selects proxies by their own labels, and no namespaces."""
        selector = self.selector
        return selector is not None and selector.chooses and not _chooses(selector.namespace_selector)

    @classmethod
    def of_content(cls, content: PolicyContent) -> "Targeting":
        """Return the targets of a valid policy."""
        return cls(content.target_names, content.target_selector)

    @classmethod
    def of_source(cls, source: str | None) -> "Targeting":
        """Return the targets of an accepted policy, as :func:`source_of` wrote them."""
        try:
            spec = PolicySpec.model_validate_json(source or "{}")
        except ValidationError:  # written by a version whose selectors we do not know
            return cls(unreadable=True)
        return cls(tuple(reference.name for reference in spec.target_refs), spec.target_selector)

    @classmethod
    def of_raw(cls, raw: Any) -> "Targeting":
        """Return the targets of an invalid policy, as far as they can be parsed."""
        spec = raw if isinstance(raw, Mapping) else {}
        references = spec.get("targetRefs") or []
        names = [_name(item) for item in references] if isinstance(references, list) else [""]
        selector, unreadable = _selector(spec)
        return cls(tuple(name for name in names if name), selector, unreadable or "" in names or spec is not raw)

    def document(self) -> dict[str, Any]:
        """Return them as a part of a policy's spec."""
        references = [{"kind": "MCPProxy", "name": name} for name in self.names]
        selector = {"targetSelector": self.selector.document()} if self.selector is not None else {}
        return {"targetRefs": references} | selector


def source_of(content: PolicyContent) -> str:
    """Return what is compiled again while a version is kept, as JSON: targets, authentication."""
    authentication = content.authentication
    more = {"authentication": authentication.document()} if authentication is not None else {}
    return canonical(Targeting.of_content(content).document() | more).decode()


def _chooses(selector: LabelSelector | None) -> bool:
    return selector is not None and selector.chooses


def _name(item: Any) -> str:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else ""


def _selector(spec: Mapping[str, Any]) -> tuple[TargetSelector | None, bool]:
    """Return the selector and whether there is one that cannot be read."""
    if "targetSelector" not in spec:
        return None, False
    try:
        return TargetSelector.model_validate(spec["targetSelector"], by_alias=True, by_name=False), False
    except ValidationError:
        return None, True


@dataclass(frozen=True, slots=True)
class Targets:
    """The targeted proxies, sorted, and the names without a proxy.

    ``nearest`` is the existing name most similar to the first missing one; empty where none is similar.
    """

    found: tuple[ObjectKey, ...]
    missing: tuple[str, ...] = ()
    nearest: str = ""


class TargetIndex:
    """An index of all proxies, by name and by label.

    Owner policies reach the proxies of their own namespace. Platform policies reach every namespace, or those that
    their ``namespaceSelector`` selects; their ``targetRefs`` stay within the operator's namespace.
    """

    def __init__(self, proxies: Iterable[ParsedProxy], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self._namespaces = namespaces
        self._all = tuple(sorted(proxies, key=lambda proxy: proxy.key))
        self._by_key = {proxy.key: proxy for proxy in self._all}
        self._by_namespace: dict[str, list[ParsedProxy]] = defaultdict(list)
        self._by_label: dict[tuple[str, str], list[ParsedProxy]] = defaultdict(list)
        self._by_namespace_and_label: dict[tuple[str, str, str], list[ParsedProxy]] = defaultdict(list)
        for proxy in self._all:
            self._by_namespace[proxy.key.namespace].append(proxy)
            for key, value in proxy.labels.items():
                self._by_label[key, value].append(proxy)
                self._by_namespace_and_label[proxy.key.namespace, key, value].append(proxy)

    def find(self, targeting: Targeting, namespace: str, tier: Tier) -> Targets:
        """Return the proxies that a policy of a namespace targets."""
        if targeting.unreadable:
            reach = self._all if tier == "platform" else self._by_namespace.get(namespace, ())
            return Targets(tuple(proxy.key for proxy in reach))
        named = [ObjectKey("MCPProxy", namespace, name) for name in targeting.names]
        found = {key for key in named if key in self._by_key}
        if targeting.selector is not None:
            found.update(self._select(targeting.selector, namespace, tier))
        missing = tuple(key.name for key in named if key not in self._by_key)
        return Targets(tuple(sorted(found)), missing, self._nearest(missing[0], namespace) if missing else "")

    def catalogues(self, targets: Targets, namespace: str) -> tuple[CatalogueNames | None, ...]:
        """Return the different ways in which targets of a namespace name what they expose.

        It is None for the names of one server, or where there are no targets.
        """
        found: dict[CatalogueNames | None, None] = {}
        for key in targets.found:
            proxy = self._by_key[key]
            if key.namespace == namespace and proxy.spec is not None:
                found[_names_of(proxy.spec)] = None
        return tuple(found)[:_MOST_CATALOGUES] or (None,)

    def servers(self, key: ObjectKey) -> tuple[tuple[str, str], ...] | None:
        """Return the servers of a proxy with their prefixes; None where it is not valid."""
        spec = self._by_key[key].spec
        return tuple((server.name, server.prefix or "") for server in spec.servers) if spec is not None else None

    def _nearest(self, name: str, namespace: str) -> str:
        return nearest(name, [proxy.key.name for proxy in self._by_namespace.get(namespace, ())])

    def _select(self, selector: TargetSelector, namespace: str, tier: Tier) -> Iterator[ObjectKey]:
        for proxy in self._candidates(selector, namespace, tier):
            if selector.selects(proxy.labels) and self._reaches(selector.namespace_selector, proxy, tier):
                yield proxy.key

    def _candidates(self, selector: LabelSelector, namespace: str, tier: Tier) -> Iterable[ParsedProxy]:
        """Return a small superset of the matches, since testing all proxies is too slow."""
        for key, value in selector.match_labels.items():
            if tier == "platform":
                return self._by_label.get((key, value), ())
            return self._by_namespace_and_label.get((namespace, key, value), ())
        return self._all if tier == "platform" else self._by_namespace.get(namespace, ())

    def _reaches(self, selector: LabelSelector | None, proxy: ParsedProxy, tier: Tier) -> bool:
        if tier == "owner" or selector is None:
            return True
        namespace = proxy.key.namespace
        return selector.selects({labels.NAMESPACE_NAME: namespace} | dict(self._namespaces.get(namespace, {})))


def _names_of(spec: ProxySpec) -> CatalogueNames | None:
    servers = [(server.name, server.prefix or "") for server in spec.servers]
    return CatalogueNames(servers) if spec.is_merged else None


def tier_of(namespace: str, operator_namespace: str) -> Literal["platform", "owner"]:
    """Return the tier of a namespace's policies."""
    return "platform" if namespace == operator_namespace else "owner"
