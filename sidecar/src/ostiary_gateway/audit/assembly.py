"""Puts the audit of a gateway process together."""

import os
from collections.abc import Callable, Mapping

from ostiary_core.contract.audit import AuditSinkConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit.audit_keys import AuditKeys
from ostiary_gateway.audit.auditor import Auditor
from ostiary_gateway.audit.file_sink import FileSink
from ostiary_gateway.audit.sink import Sink
from ostiary_gateway.audit.stdout_sink import StdoutSink
from ostiary_gateway.audit.stdout_turn import StdoutTurn
from ostiary_gateway.audit.webhook_sink import WebhookSink
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.options import GatewayOptions, WorkerOptions, replica_name
from ostiary_gateway.pod_state.shared_memory import STDOUT
from ostiary_gateway.telemetry.environment_variables import Environment
from ostiary_gateway.telemetry.resource import resource_attributes


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
            worker=options.worker,
            credential=lambda name: keyring().credential(name),
            resource=attributes,
        ),
    )


def _sink_factory(
    *, replica: str, worker: WorkerOptions | None, credential: Callable[[str], SecretBytes], resource: Mapping[str, str]
) -> Callable[[AuditSinkConfig], Sink]:
    """Return a function that makes a sink.

    ``worker`` is this process among several, ``credential`` returns an entry of the gateway's Secret by
    its name, ``resource`` holds the attributes of this
    process (OpenTelemetry, Resource).
    """

    def make(config: AuditSinkConfig) -> Sink:
        if config.file is not None:
            return FileSink(config.file, replica=replica, worker=None if worker is None else worker.index)
        if config.webhook is not None:
            return WebhookSink(config.webhook, credential=credential)
        if config.otlp:
            from ostiary_gateway.audit.otlp_sink import OtlpSink  # noqa: PLC0415  the SDK is slow to load

            return OtlpSink(resource)
        return StdoutSink(turn=None if worker is None else StdoutTurn(worker.shared[STDOUT]))

    return make
