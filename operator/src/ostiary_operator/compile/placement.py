"""Which gateways a proxy goes to."""

from collections.abc import Iterator, Sequence

from ostiary_operator.api.proxy import GatewayReference
from ostiary_operator.api.status import AcceptedReason
from ostiary_operator.compile.checks import ResourceRejection
from ostiary_operator.compile.sites import Site
from ostiary_operator.compile.subjects import ParsedProxy


def place(
    subject: ParsedProxy, references: Sequence[GatewayReference], sites: Sequence[Site], *, operator_namespace: str
) -> tuple[Site, ...] | ResourceRejection:
    """Return the gateways that a proxy is for, or why there are none.

    No references means every shared gateway and every namespaced gateway of the proxy's own namespace. With references
    it is exactly those; one without a namespace is a shared one.
    """
    if not references:
        wanted = tuple(site for site in sites if site.serves(subject.key.namespace))
        return _usable(subject, wanted) if wanted else _none(subject)
    known = {(site.gateway.namespace, site.gateway.name): site for site in sites}
    chosen: list[Site] = []
    for index, reference in enumerate(references):
        namespace = reference.namespace or operator_namespace
        site = known.get((namespace, reference.name))
        if namespace not in (operator_namespace, subject.key.namespace):
            # The message is the same for every foreign namespace, so that it does not reveal what exists there.
            return _refusal(subject, index, f"gateway {namespace}/{reference.name} belongs to another namespace")
        if site is None:
            known_names = ", ".join(_names(sites, subject.key.namespace)) or "none"
            text = f"there is no gateway {namespace}/{reference.name}; known here: {known_names}"
            return _refusal(subject, index, text)
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


def _none(subject: ParsedProxy) -> ResourceRejection:
    message = f"{subject.title}: spec.gateways: there is no shared gateway; install one, or name one in spec.gateways"
    return ResourceRejection(AcceptedReason.NO_GATEWAY, message)


def _refusal(subject: ParsedProxy, index: int, text: str) -> ResourceRejection:
    message = f"{subject.title}: spec.gateways[{index}]: {text}; correct the reference, or install the gateway"
    return ResourceRejection(AcceptedReason.NO_GATEWAY, message)
