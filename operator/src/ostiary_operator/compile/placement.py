"""Finds the gateways of a proxy: those that it names, or whose settings select its labels.

An installation may divide many proxies among many gateways by a label. So the gateways are found by it, and a proxy
does not cost more the more gateways there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ostiary_operator.api.proxy import GatewayReference
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.model import ResourceRejection
from ostiary_operator.compile.resource_parser import ParsedProxy


class SiteIndex:
    """The gateways of a compilation, in their order, by what they select and by name."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites: Final = tuple(sites)
        self.named: Final = {(site.gateway.namespace, site.gateway.name): site for site in sites}
        self._by_label: dict[tuple[str, str], list[int]] = {}
        self._without_label: list[int] = []
        for number, site in enumerate(sites):
            self._places_of(site).append(number)

    def _places_of(self, site: Site) -> list[int]:
        selector = site.settings.proxy_selector if site.settings is not None else None
        if selector is None or not selector.match_labels:
            return self._without_label
        # One label of several is enough to find it: all of them must hold.
        return self._by_label.setdefault(next(iter(selector.match_labels.items())), [])

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> tuple[Site, ...]:
        """Return the gateways that may serve a namespace and select a proxy with these labels."""
        numbers = [*self._without_label]
        for label in labels.items():
            numbers += self._by_label.get(label, ())
        found = (self.sites[number] for number in sorted(numbers))
        return tuple(site for site in found if site.serves(namespace) and site.selects(labels))


def place(
    subject: ParsedProxy, references: Sequence[GatewayReference], index: SiteIndex, *, operator_namespace: str
) -> tuple[Site, ...] | ResourceRejection:
    """Return the gateways that a proxy is for, or why there are none.

    No references means every shared gateway and every namespaced gateway of the proxy's own namespace, as far as their
    settings select the proxy's labels. With references it is exactly those; one without a namespace is a shared one.
    """
    if not references:
        wanted = index.selecting(subject.key.namespace, subject.labels)
        return _usable(subject, wanted) if wanted else _none(subject, index)
    chosen: list[Site] = []
    for number, reference in enumerate(references):
        namespace = reference.namespace or operator_namespace
        site = index.named.get((namespace, reference.name))
        if namespace not in (operator_namespace, subject.key.namespace):
            # The message is the same for every foreign namespace, so that it does not reveal what exists there.
            return _refusal(subject, number, f"gateway {namespace}/{reference.name} belongs to another namespace")
        if site is None:
            known_names = ", ".join(_names(index.sites, subject.key.namespace)) or "none"
            text = f"there is no gateway {namespace}/{reference.name}; known here: {known_names}"
            return _refusal(subject, number, text)
        if site not in chosen:
            chosen.append(site)
    return _usable(subject, tuple(chosen))


def _names(sites: Sequence[Site], namespace: str) -> Iterator[str]:
    return (site.identity for site in sites if site.serves(namespace))


def _usable(subject: ParsedProxy, sites: tuple[Site, ...]) -> tuple[Site, ...] | ResourceRejection:
    usable = tuple(site for site in sites if site.settings is not None)
    if usable:
        return usable
    names = ", ".join(site.identity for site in sites)
    what = f"the settings of {names} cannot be used; correct the settings, or name another gateway"
    message = f"{subject.title}: spec.gateways: {what}"
    return ResourceRejection(AcceptedReason.NO_GATEWAY, message)


def _none(subject: ParsedProxy, index: SiteIndex) -> ResourceRejection:
    message = f"{subject.title}: spec.gateways: there is no shared gateway; install one, or name one in spec.gateways"
    names = ", ".join(_names(index.sites, subject.key.namespace))
    if names:
        what = f"no gateway selects them by proxySelector in its settings, of {names}"
        message = f"{subject.title}: metadata.labels: {what}; correct the labels, or name a gateway in spec.gateways"
    return ResourceRejection(AcceptedReason.NO_GATEWAY, message)


def _refusal(subject: ParsedProxy, number: int, text: str) -> ResourceRejection:
    message = f"{subject.title}: spec.gateways[{number}]: {text}; correct the reference, or install the gateway"
    return ResourceRejection(AcceptedReason.NO_GATEWAY, message)
