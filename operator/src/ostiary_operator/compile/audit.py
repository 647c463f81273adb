"""Compiles what is audited, and finds what a change of it records less.

Settings without `sinks` mean standard output, which the documents write out.
"""

from collections.abc import Iterator

from ostiary_core.contract.audit import (
    CONTENTS,
    DEFAULT_CONTENT_BYTES,
    LEVELS,
    AuditConfig,
    AuditFileConfig,
    AuditRedactionConfig,
    AuditSinkConfig,
    AuditWebhookConfig,
    GatewayAuditConfig,
)
from ostiary_operator.api.audit import Audit, AuditFailurePolicy, AuditRedaction, AuditSink, AuditSync, GatewayAudit
from ostiary_operator.api.quantities import Size
from ostiary_operator.compile.weakening import listed

#: A field, its value before and its value after.
Change = tuple[str, str, str]


def audit_config(audit: Audit | None) -> AuditConfig | None:
    """Return what gateways read of `spec.audit`, or of the floor in their settings."""
    if audit is None:
        return None
    return AuditConfig(
        level=audit.level.value,
        arguments=audit.arguments.value if audit.arguments is not None else None,
        results=audit.results.value if audit.results is not None else None,
        max_bytes=int(Size.parse(audit.max_bytes)),
        stages=[stage.value for stage in audit.stages] if audit.stages is not None else None,
        failure_policy="Fail" if audit.failure_policy is AuditFailurePolicy.FAIL else None,
    )


def gateway_audit_config(audit: GatewayAudit | None) -> GatewayAuditConfig | None:
    """Return what a gateway reads of `audit` in its settings."""
    if audit is None:
        return None
    return GatewayAuditConfig(
        floor=audit_config(audit.floor),
        sinks=[_sink(sink) for sink in audit.sinks],
        checkpoint=audit.checkpoint_interval.milliseconds,
        redact=_redaction(audit.redact),
    )


def _sink(sink: AuditSink) -> AuditSinkConfig:
    """Return a sink, a webhook still without the credential that it names."""
    if sink.webhook is not None:
        given_hook = sink.webhook
        timeout = given_hook.timeout.milliseconds
        return AuditSinkConfig(webhook=AuditWebhookConfig(url=given_hook.url, ca=given_hook.ca_bundle, timeout=timeout))
    if sink.otlp is not None:
        return AuditSinkConfig(otlp=True)
    if sink.file is None:
        return AuditSinkConfig(stdout=True)
    given = sink.file
    file = AuditFileConfig(
        path=given.path,
        max_bytes=int(given.max_size),
        max_files=given.max_files,
        syncs=given.sync is AuditSync.BATCH,
    )
    return AuditSinkConfig(file=file)


def _redaction(redact: AuditRedaction) -> AuditRedactionConfig | None:
    if not redact.keys and redact.patterns is None:
        return None
    return AuditRedactionConfig(keys=list(redact.keys), patterns=list(redact.patterns or ()))


def audit_lowered(old: AuditConfig | None, new: AuditConfig | None) -> Iterator[Change]:
    """Yield what is recorded less, or refused less, by field below `audit`."""
    if old is None or (old.level == "None" and not old.fails):
        return
    if new is None:
        yield "", old.level, "none"
        return
    yield from _ranked(".level", LEVELS, old.level, new.level)
    for field, was, now in zip((".arguments", ".results"), old.contents, new.contents, strict=True):
        yield from _ranked(field, CONTENTS, was, now)
    sizes = [each.max_bytes or DEFAULT_CONTENT_BYTES for each in (old, new)]
    if sizes[1] < sizes[0]:
        yield ".maxBytes", str(Size(sizes[0])), str(Size(sizes[1]))
    if new.stages is not None and not set(new.stages) >= set(old.stages or ("RequestReceived", "ResponseComplete")):
        yield ".stages", listed(old.stages) if old.stages is not None else "by effect", listed(new.stages)
    if old.fails and not new.fails:
        yield ".failurePolicy", "Fail", "Ignore"


def _ranked(field: str, ranks: tuple[str, ...], was: str, now: str) -> Iterator[Change]:
    if ranks.index(now) < ranks.index(was):
        yield field, was, now


def gateway_audit_lowered(old: GatewayAuditConfig | None, new: GatewayAuditConfig | None) -> Iterator[Change]:
    """Yield what the settings of a gateway record less, and sinks that are gone."""
    floors = [each.floor if each is not None else None for each in (old, new)]
    yield from ((f"audit.floor{field}", was, now) for field, was, now in audit_lowered(*floors))
    before, after = (_sinks(each) for each in (old, new))
    if not before <= after:
        yield "audit.sinks", listed(before), listed(after)
    hidden, still = (_redacted(each) for each in (old, new))
    if not hidden <= still:
        yield "audit.redact", listed(hidden), listed(still)


def _sinks(audit: GatewayAuditConfig | None) -> frozenset[str]:
    sinks = audit.sinks or () if audit is not None else ()
    return frozenset(map(_named, sinks))


def _named(sink: AuditSinkConfig) -> str:
    if sink.webhook is not None:
        return f"webhook {sink.webhook.url}"
    if sink.otlp is not None:
        return "otlp"
    return f"file {sink.file.path}" if sink.file is not None else "stdout"


def _redacted(audit: GatewayAuditConfig | None) -> frozenset[str]:
    redact = audit.redact if audit is not None else None
    return frozenset((*redact.keys, *redact.patterns)) if redact is not None else frozenset()
