"""Assemble and stop a gateway process: config sources, pipeline, ports, open files."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from ostiary_core.contract import key_names
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.admin.admin_port import OpenHandlers, admin_application, listen, listen_at
from ostiary_gateway.admin.routes import admin_routes
from ostiary_gateway.audit.assembly import make_auditor
from ostiary_gateway.config.directory_source import DirectorySource
from ostiary_gateway.config.kubernetes_source import KubernetesSource
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.store import ConfigStore, RejectionRecheck, SwapListener
from ostiary_gateway.data_port import DataPort
from ostiary_gateway.endless_work import EndlessWork, run_for_ever
from ostiary_gateway.endpoint_discovery.discovery import EndpointDiscovery
from ostiary_gateway.endpoint_discovery.own_location import OwnPod
from ostiary_gateway.evidence.ended_requests import EndedRequests
from ostiary_gateway.evidence.gateway_evidence import GatewayEvidence
from ostiary_gateway.identity.auth_discovery import DiscoveryChecks
from ostiary_gateway.identity.authenticators import Authenticators
from ostiary_gateway.metrics import GatewayMetrics
from ostiary_gateway.metrics.audit_state import AuditState
from ostiary_gateway.metrics.bridge_state import BridgeState
from ostiary_gateway.metrics.debug_capture_state import DebugCaptureState
from ostiary_gateway.metrics.limit_store import LimitStoreMetrics
from ostiary_gateway.metrics.policy_limits import LimitMetrics
from ostiary_gateway.open_files import connections_for, raise_file_limit
from ostiary_gateway.options import GatewayOptions, replica_name
from ostiary_gateway.pipeline.blocked_in_flight import BlockedInFlight
from ostiary_gateway.pipeline.debug_recording import capture_streams
from ostiary_gateway.pipeline.merged_sessions.notes_setting import NotesSetting
from ostiary_gateway.pipeline.pipeline import RequestPipeline
from ostiary_gateway.policy_limits.limit_store_switch import LimitStoreSwitch
from ostiary_gateway.policy_limits.usage_report import UsageReport
from ostiary_gateway.seal import Sealer
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.server.http_servers import HTTP_SERVERS
from ostiary_gateway.server.listener import Listener
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.config_span import config_load_recorder
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.assertion_keys import KEY_SET_PATH, AssertionKeys
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.pools import ServerPools
from ostiary_gateway.worker_numbers import WorkerNumbers

_log = logging.getLogger(__name__)

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
#: Seconds to answer the requests that are unfinished at the end of the drain period.
_LAST_WORDS_SECONDS: Final = 1.0
#: Seconds to send the last spans and metrics.
_LAST_EXPORT_SECONDS: Final = 3.0


class GatewayApp:
    """One gateway process: :meth:`start`, serve, :meth:`stop`."""

    def __init__(
        self, options: GatewayOptions, telemetry: Telemetry, *, environ: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.options = options
        self.telemetry = telemetry
        own = OwnEndpoints.from_environment(ports=(options.port, options.admin_port))
        self._assertion_keys = AssertionKeys(lambda: self.store.keyring.assertions)
        self.pools = ServerPools(
            own,
            installation=options.installation,
            egress=Egress.from_environment(os.environ),
            credential=self._credential,
            keys=self._assertion_keys,
        )
        self.endpoints = EndpointDiscovery(
            options.gateway, options.kubernetes, pod=OwnPod.of(os.environ), located=self.pools.set_zone
        )
        self.authenticators = Authenticators(routing=self.pools.routing, credential=self._credential)
        self.discovery = DiscoveryChecks()
        self.store = ConfigStore(
            gateway=options.gateway or None, servers=self.pools.take, authenticators=self.authenticators.take
        )
        self.store.on_load = config_load_recorder(telemetry)
        self._sealer = Sealer(lambda: self.store.keyring.sessions)
        self.pipeline = RequestPipeline(
            snapshot=lambda: self.store.snapshot,
            sealer=self._sealer,
            telemetry=telemetry,
            loopback=options.host in _LOOPBACK,
            metadata=self._find_public,
            routing=self.pools.routing,
            worker=options.worker,
        )
        self.pipeline.services.content_keys.source = lambda: self.store.keyring.content
        self.pipeline.auditor = self.auditor = make_auditor(options, lambda: self.store.keyring)
        self.limit_store = LimitStoreSwitch(
            self.pipeline.limits,
            self.pipeline.local_counters,
            replica=replica_name(options.replica),
            credential=self._credential,
        )
        self._notes = NotesSetting(
            self.pipeline.sessions.notes, self._sealer, lambda: self.limit_store.link, worker=options.worker
        )
        self._data = Listener(
            self.pipeline.serve, gate=self.pipeline.limiter, new_connection=HTTP_SERVERS[options.http_server]
        )
        self.data_port = DataPort(options, self._data)
        self.metrics = GatewayMetrics(
            self.store, self.pipeline.limiter, self.pools, telemetry, self.authenticators.outcomes
        )
        self.evidence = GatewayEvidence(numbers=WorkerNumbers() if options.worker is not None else None)
        if options.worker is not None:
            self.pipeline.captures.numbers = WorkerNumbers
        self.ended = EndedRequests(self.metrics.take, self.evidence.take, is_live=lambda: self.evidence.is_live)
        self.pipeline.ended = self.ended
        self._environ = environ
        self._register()
        self.store.listeners += self._listeners()
        self.admin_port = options.admin_port
        self._leaving = False
        self.sources: list[DirectorySource | KubernetesSource | Certificate] = []
        self._watching: list[asyncio.Task[None]] = []

    def _register(self) -> None:
        """Export the figures of the parts that count for themselves."""
        pipeline = self.pipeline
        self.metrics.register(DebugCaptureState(pipeline.captures))
        self.metrics.register(LimitMetrics(pipeline.limits.floods, pipeline.local_counters, pipeline.loops))
        self.metrics.register(AuditState(self.auditor))
        self.metrics.register(BridgeState(pipeline.services.continuations, pipeline.services.legacy_sessions))
        self.metrics.register(LimitStoreMetrics(self.limit_store))

    def _listeners(self) -> list[SwapListener]:
        """Return what is told of each new config, in order."""
        return [
            self.pipeline.limiter.on_swap,
            self.pipeline.streams.on_swap,
            self.pipeline.captures.on_swap,
            lambda *_: capture_streams(self.pipeline.streams, self.pipeline.captures),
            self.pipeline.limits.on_swap,
            self.limit_store.on_swap,
            self._notes.on_swap,
            BlockedInFlight(self._data.in_flight).on_swap,
            self.pools.on_swap,
            self.endpoints.on_swap,
            self.authenticators.on_swap,
            self.discovery.on_swap,
            self.data_port.trust_clients,
            self.auditor.on_swap,
            self._record_evidence,
            self.metrics.on_swap,
        ]

    def _record_evidence(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        self.ended.settle()  # under the config that they were served with
        self.evidence.on_swap(snapshot, changed)
        self.ended.keeps_calls = self.evidence.keeps_calls

    def _state(self) -> dict[str, Any]:
        telemetry = {"tracing": dict(self.telemetry.active or {}), "telemetry": self.metrics.exports()}
        return {**telemetry, **self.auditor.report(), **self.limit_store.report()}

    def _usage(self, replica: str) -> UsageReport:
        return UsageReport(lambda: self.store.snapshot, lambda: self.pipeline.limits.store, replica=replica)

    async def _find_public(self, host: str, target: str) -> bytes | None:
        """Return the public document at a host and target; None for every other."""
        if target == KEY_SET_PATH:
            return self._assertion_keys.key_set()
        return await self.authenticators.find_metadata(host, target)

    @property
    def port(self) -> int:
        """The number of the data port, once it is open."""
        return self.data_port.port

    def _credential(self, name: str) -> SecretBytes:
        return self.store.keyring.credential(name)

    async def start(self) -> None:
        """Listen, and begin to watch the config. The gateway is ready after the first good config.

        Raises:
            StartupError: a port is taken, the certificate cannot be used, or the file for audit records.
        """
        options = self.options
        self.auditor.check()
        self.pipeline.limiter.carried = connections_for(raise_file_limit())
        if (certificate := self.data_port.load_certificate()) is not None:
            self.metrics.show(certificate)
        replica = replica_name(options.replica)
        routes = admin_routes(
            store=self.store,
            replica=replica,
            to_all=OpenHandlers(ready=self.not_ready, exposition=self.metrics.exposition, settle=self.ended.settle),
            discovery=self.discovery.report_of,
            captures=self.pipeline.captures,
            limits=self._usage(replica).page,
            evidence=self.evidence,
            state=self._state,
        )
        application = admin_application([*routes, self.pipeline.services.hop_endpoint.route])
        self._admin = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        try:
            await self._listen()
            self.metrics.start_export(self._environ)
        except BaseException:
            await self._data.stop(0)
            await self._admin.cleanup()
            raise
        self._watch()

    async def _listen(self) -> None:
        options = self.options
        await self._admin.setup()
        if options.worker is None:
            self.admin_port = await listen(self._admin, options.admin_host, options.admin_port)
        else:
            await listen_at(self._admin, options.worker.socket_of(options.worker.index))
        self.pipeline.services.continuations.address = options.advertised(self.admin_port)
        self.pipeline.services.hops.siblings = options.siblings(self.admin_port)
        if options.worker is None or not options.worker.is_replacement:
            await self.data_port.open()

    def _watch(self) -> None:
        if self.options.config is not None:
            keys = self.options.keys or self.options.config / key_names.FOLDER
            self.sources.append(DirectorySource(self.options.config, self.store, keys=keys))
        if self.options.kubernetes is not None:
            self.sources.append(KubernetesSource(self.options.gateway, self.options.kubernetes, self.store))
        if self.data_port.certificate is not None:
            self.sources.append(self.data_port.certificate)
        watched: list[EndlessWork] = [*self.sources, RejectionRecheck(self.store), self.discovery, self.metrics.lag]
        self._watching = [asyncio.create_task(run_for_ever(each)) for each in watched]

    def not_ready(self) -> str | None:
        """Return why requests are not accepted now, or None."""
        if self._leaving or self.pipeline.draining:
            return "draining"
        if self.store.snapshot is None:
            return "no config yet"
        return self.auditor.not_ready() or self.endpoints.not_ready()

    async def stop(self) -> None:
        """Drain and end.

        Accept no new work, close streams, finish requests in flight within the limit, flush spans.
        """
        self._data.start_draining()
        if self.options.drain_delay_seconds:
            # Load balancers send requests here until they notice that we are not ready, and clients keep connections.
            self._leaving = True
            await asyncio.sleep(self.options.drain_delay_seconds)
        self._data.close_idle()
        self.pipeline.draining = True
        self.pipeline.streams.end_all()
        self.pipeline.limits.quotas.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.options.drain_seconds):
                await self.pipeline.limiter.empty()
        if left := self.pipeline.limiter.total.requests:
            _log.warning("%d requests were still unanswered after %.0f s", left, self.options.drain_seconds)
        self.pipeline.ending = True
        self._data.cancel_requests()
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._data.stop(_LAST_WORDS_SECONDS)
        await self.limit_store.close()
        self.pipeline.captures.close()
        await self.pipeline.services.close()
        await self._notes.close()
        await self.auditor.close()
        await self._admin.cleanup()
        self.ended.close()
        self.authenticators.close()
        await self.endpoints.close()
        await self.pools.close()
        await asyncio.gather(*(asyncio.to_thread(close, _LAST_EXPORT_SECONDS) for close in self._exporters()))

    def _exporters(self) -> Iterator[Callable[[float], object]]:
        """Yield what sends the last spans and metrics within some seconds."""
        yield self.telemetry.close
        if self.metrics.export is not None:
            yield self.metrics.export.close
