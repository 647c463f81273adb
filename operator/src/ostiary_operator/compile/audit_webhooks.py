"""Resolves the credentials of webhooks that get audit records, in the gateway's namespace.

A credential that does not exist does not make the settings unusable. The webhook gets nothing until it exists: without
its credential a receiver would refuse the records anyway.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ostiary_core.contract.audit import AuditSinkConfig
from ostiary_core.contract.documents import SettingsDocument
from ostiary_operator.api.audit import AuditSink
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credentials import resolve_secret
from ostiary_operator.compile.gateway_settings import Site, readable_settings
from ostiary_operator.compile.model import (
    DiscoveredGateway,
    GatewayProblem,
    ReferenceKey,
    ResourceRejection,
    Resources,
)

_SECRET: Final = "Secret"  # noqa: S105  the name of a kind


def wanted_credentials(gateways: Iterable[DiscoveredGateway], cache: Cache) -> Iterator[ReferenceKey]:
    """Yield the Secrets with credentials that the webhooks of gateways refer to."""
    for gateway, settings in readable_settings(gateways, cache):
        sinks = settings.audit.sinks if settings.audit is not None else ()
        for reference in (sink.webhook.credential_ref for sink in sinks if sink.webhook is not None):
            if reference is not None:
                yield ReferenceKey(_SECRET, gateway.namespace, reference.name)


def with_audit_webhooks(
    sites: Iterable[Site], resources: Resources
) -> tuple[tuple[Site, ...], tuple[GatewayProblem, ...]]:
    """Return the gateways with the credentials of their webhooks, and what is wrong with them."""
    found: list[Site] = []
    problems: list[GatewayProblem] = []
    for site in sites:
        audit = site.settings.audit if site.settings is not None else None
        if audit is None or site.document is None or not any(sink.webhook for sink in audit.sinks):
            found.append(site)
            continue
        document, messages = _resolved(site.document, audit.sinks, site.gateway.namespace, resources)
        found.append(replace(site, document=document))
        problems += (GatewayProblem(site.identity, message) for message in messages)
    return tuple(found), tuple(problems)


def _resolved(
    document: SettingsDocument, sinks: tuple[AuditSink, ...], namespace: str, resources: Resources
) -> tuple[SettingsDocument, list[str]]:
    assert document.audit is not None  # noqa: S101  it was compiled from the same settings
    kept, messages = [], []
    for number, (sink, config) in enumerate(zip(sinks, document.audit.sinks or (), strict=True)):
        resolved = _with_credential(sink, config, f"settings: audit.sinks[{number}].webhook", namespace, resources)
        if isinstance(resolved, AuditSinkConfig):
            kept.append(resolved)
        else:
            messages.append(f"{resolved.message}; this webhook gets no records until then")
    audit = document.audit.model_copy(update={"sinks": kept})
    return document.model_copy(update={"audit": audit}), messages


def _with_credential(
    sink: AuditSink, config: AuditSinkConfig, where: str, namespace: str, resources: Resources
) -> AuditSinkConfig | ResourceRejection:
    if sink.webhook is None or sink.webhook.credential_ref is None or config.webhook is None:
        return config
    reference = sink.webhook.credential_ref
    # The host is the platform's own choice, like the Secret, so it needs no annotation that names it.
    found = resolve_secret(f"{where}.credentialRef", namespace, reference, resources.credentials, hosts=())
    if isinstance(found, ResourceRejection):
        return found
    return AuditSinkConfig(webhook=config.webhook.model_copy(update={"credential": found}))
