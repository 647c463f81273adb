"""Puts the audit of a gateway process together."""

import os
import socket
from collections.abc import Callable, Mapping

from ostiary_core.contract.audit import AuditSinkConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit.audit_keys import AuditKeys
from ostiary_gateway.audit.auditor import Auditor
from ostiary_gateway.audit.file_sink import FileSink
from ostiary_gateway.audit.sink import Sink
from ostiary_gateway.audit.stdout_sink import StdoutSink
from ostiary_gateway.audit.webhook_sink import WebhookSink
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.options import GatewayOptions
from ostiary_gateway.telemetry.environment_variables import Environment
from ostiary_gateway.telemetry.resource import resource_attributes


def replica_name(given: str) -> str:
    """Return the name of this process.

    It is the given one, that of its Pod, or one from host and process id.
    """
    return given or os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"


def make_auditor(options: GatewayOptions, keyring: Callable[[], Keyring]) -> Auditor:
    """Return the audit of a process with these options.

    ``keyring`` returns the keys of the gateway's Secret.
    """
    replica = replica_name(options.replica)
    attributes = resource_attributes(Environment(os.environ), {})
    return Auditor(
        options.audit,
        keys=AuditKeys(lambda: keyring().audit),
        replica=replica,
        open_sink=_sink_factory(
            replica=replica,
            credential=lambda name: keyring().credential(name),
            resource=attributes,
        ),
    )


def _sink_factory(
    *, replica: str, credential: Callable[[str], SecretBytes], resource: Mapping[str, str]
) -> Callable[[AuditSinkConfig], Sink]:
    """Return a function that makes a sink.

    ``credential`` returns an entry of the gateway's Secret by its name, ``resource`` holds the attributes of this
    process (OpenTelemetry, Resource).
    """

    def make(config: AuditSinkConfig) -> Sink:
        if config.file is not None:
            return FileSink(config.file, replica=replica)
        if config.webhook is not None:
            return WebhookSink(config.webhook, credential=credential)
        if config.otlp:
            from ostiary_gateway.audit.otlp_sink import OtlpSink  # noqa: PLC0415  the SDK is slow to load

            return OtlpSink(resource)
        return StdoutSink()

    return make
