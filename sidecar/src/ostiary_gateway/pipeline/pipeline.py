"""The request pipeline.

Every request of the data port passes through these stages, from top to bottom.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ostiary_gateway.audit.auditor import Auditor
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.content.scorer_client import Scorers
from ostiary_gateway.debug_capture.captures import DebugCaptures
from ostiary_gateway.errors import Refusal
from ostiary_gateway.evidence.ended_requests import EndedRequests
from ostiary_gateway.limits.checks import become_stream
from ostiary_gateway.options import WorkerOptions
from ostiary_gateway.pipeline import audit_stage, http_checks, record, request_counts, server_revisions
from ostiary_gateway.pipeline.authorize import recall_or_authorize
from ostiary_gateway.pipeline.blocks import check_blocked
from ostiary_gateway.pipeline.carry_out import carry_out
from ostiary_gateway.pipeline.content.guard_stage import guard
from ostiary_gateway.pipeline.content.request_stage import judge_request
from ostiary_gateway.pipeline.content.restored_arguments import keep_tokens, let_travel
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.forward import check_loop
from ostiary_gateway.pipeline.http_checks import check_host, check_origin, preflight, receive
from ostiary_gateway.pipeline.limit_stage import LimitStage
from ostiary_gateway.pipeline.loop_stage import LoopStage
from ostiary_gateway.pipeline.open_streams import OpenStreams
from ostiary_gateway.pipeline.opened_sessions import OpenedSessions
from ostiary_gateway.pipeline.plans import Plan
from ostiary_gateway.pipeline.refusal_responses import internal_error, response_for
from ostiary_gateway.pipeline.request_ids import RequestIds
from ostiary_gateway.pipeline.request_reader import RequestReader
from ostiary_gateway.pipeline.route import FindMetadata, no_metadata, public_metadata
from ostiary_gateway.pipeline.select_stage import select
from ostiary_gateway.pipeline.services import services_of
from ostiary_gateway.pipeline.worker_parts import counters_of, limiter_of
from ostiary_gateway.seal import Sealer
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan, Telemetry
from ostiary_gateway.threads import uncancel
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.credentials import direct
from ostiary_gateway.upstream.document_client import Routing


class RequestPipeline:
    """Passes each request through the stages of the pipeline.

    ``snapshot`` returns the config in force, or None before there is one; with ``loopback`` it listens on that only.
    ``routing`` says how services that requests are judged with are connected to.
    """

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot | None],
        sealer: Sealer,
        telemetry: Telemetry,
        loopback: bool,
        metadata: FindMetadata = no_metadata,
        routing: Routing = direct,
        worker: WorkerOptions | None = None,
    ) -> None:
        self.limiter = limiter_of(worker, lambda refusal: response_for(refusal, None))
        self.streams = OpenStreams()
        self.captures = DebugCaptures()
        self.request_ids = RequestIds()
        self.local_counters = counters_of(worker)
        self.limits = LimitStage(self.local_counters, self.streams)
        self.loops = LoopStage()
        self.draining = False
        #: The drain period is over: a request that is cancelled now gets an error response.
        self.ending = False
        #: Takes requests that have ended, to be counted; None where nothing counts them.
        self.ended: EndedRequests | None = None
        #: The trace of requests that are counted nowhere, since `ostiary run` sends them itself; None without any.
        self.own_trace: str | None = None
        #: Records requests; None where nothing can demand that.
        self.auditor: Auditor | None = None
        self._snapshot = snapshot
        self._telemetry = telemetry
        self._loopback = loopback
        self._metadata = metadata
        in_force = lambda: None if self.draining else snapshot()  # noqa: E731  short: it is used here only
        self.services = services_of(
            sealer, self.request_ids, self.streams, in_force, self._is_cut_off, self.limits, Scorers(routing)
        )
        self.sessions = self.services.sessions
        self._reader = RequestReader(
            snapshot=snapshot,
            sessions=OpenedSessions(sealer),
            is_draining=lambda: self.draining,
            content_keys=self.services.content_keys,
        )

    def serve(self, request: Request) -> Coroutine[Any, Any, Response | None]:
        """Answer a load balancer's probe, or handle an MCP request."""
        if request.target != http_checks.PROBE:
            return self.handle(request)
        return http_checks.probe_response(request, is_ready=self._snapshot() is not None and not self.draining)

    async def handle(self, request: Request) -> Response | None:  # noqa: C901  every stage is shown in one place
        """Answer one request.

        The stages are receive, route, check origin, authenticate, admit (in-flight limits), decode, check blocks, check
        loop, authorize (with transformations and validation), stream limits, limits of policies, loop detection, guard,
        select, audit, carry out (in which servers' responses are shaped) and record.
        """
        exchange: Exchange | None = None
        traceparent, tracestate = self._telemetry.context_in(request.headers)
        with self._telemetry.server_span(
            http_method=request.method, traceparent=traceparent, tracestate=tracestate
        ) as span:
            try:
                receive(request)
                check_host(request, loopback=self._loopback)
                exchange = self._reader.route(request)
                record.routed(span, exchange, self.captures)
                check_origin(request, exchange, loopback=self._loopback)
                if request.method == "OPTIONS":
                    return record.responded(span, request, preflight(request, exchange))
                if exchange.proxy.authenticator is not None:
                    if not self._reader.recognise(exchange):
                        await self._reader.authenticate(exchange)
                    span.authenticated(exchange.principal)
                self._admit(exchange)
                decoding = self._reader.decode(exchange)
                if decoding is not None:
                    await decoding
                record.decoded(span, exchange)
                judging = self._judge(exchange, span)
                if judging is not None:
                    await judging
                counting = self._count(exchange, span)
                if counting is not None:
                    await counting
                    record.limited(span, exchange)
                if exchange.proxy.loops is not None:
                    await self.loops.check(exchange, exchange.proxy.loops)
                if exchange.content is not None:
                    await guard(exchange, exchange.content)
                self.request_ids.take(exchange)
                # The plan is not kept: thousands of streams wait here.
                response = await carry_out(self._select_and_record(exchange, span), exchange, span, self.services)
                return record.responded(span, request, response)
            except Refusal as refusal:
                return record.responded(span, request, await self._refuse(refusal, request, exchange, span))
            except BaseException as error:
                response = record.responded(span, request, self._broken(error, request, exchange, span))
                if response is None:
                    raise  # raise here: otherwise the error's frames would wait for the garbage collector
                return response
            finally:
                self._finish(exchange, span)

    async def _refuse(
        self, refusal: Refusal, request: Request, exchange: Exchange | None, span: ServerSpan
    ) -> Response:
        """Return the response to a refusal; a path without a proxy may have public metadata."""
        if exchange is None:
            metadata = await public_metadata(request, refusal, self._metadata)
            if metadata is not None:
                return metadata
        else:
            server_revisions.name_supported(refusal, exchange.proxy.servers)
            keep_tokens(exchange, refusal)
        record.refused(span, exchange, refusal)
        if exchange is None and self.auditor is not None:
            audit_stage.unrouted(self.auditor, request, refusal, span)
        return response_for(refusal, exchange.request_id if exchange is not None else None)

    def _select_and_record(self, exchange: Exchange, span: ServerSpan) -> Plan:
        """Choose the servers of a request that passed, and record it before it has effects."""
        plan = select(exchange)
        if exchange.content is not None:
            let_travel(plan, exchange.content)
        if self.auditor is not None:
            audit_stage.receive(self.auditor, exchange, span)
        return plan

    def _finish(self, exchange: Exchange | None, span: ServerSpan) -> None:
        """Record the request, and release what it reserved."""
        if exchange is None:
            self._record(span, None)
            return
        if self.request_ids.cancelled and self.request_ids.is_cancelled(exchange):
            record.cancelled(span)
        self._record(span, exchange)
        if self.auditor is not None:
            audit_stage.complete(self.auditor, exchange, span)
        if exchange.limit_use is not None:
            self.limits.finish(exchange.limit_use)
        exchange.refusal = None  # its traceback holds the exchange: the garbage collector would have to find them
        self.request_ids.release(exchange)
        self.limiter.release(exchange.reservation, exchange.request)

    def _record(self, span: ServerSpan, exchange: Exchange | None) -> None:
        if self.own_trace is None or span.joined_trace() != self.own_trace:
            request_counts.counted(span, exchange, self.ended)

    def _broken(
        self, error: BaseException, request: Request, exchange: Exchange | None, span: ServerSpan
    ) -> Response | None:
        """Return the response to an unexpected error; None where none is possible."""
        has_begun = request.connection.stream is not None
        identifier = exchange.request_id if exchange is not None else None
        if isinstance(error, asyncio.CancelledError) and self._is_cut_off(request) and not has_begun:
            uncancel()
            refusal = faults.refusal(faults.drain_expired())
            record.refused(span, exchange, refusal)
            return response_for(refusal, identifier)
        record.report_exception(span, exchange, error)
        if not record.is_failure(error) or has_begun:
            return None
        return internal_error(error, identifier)

    def _is_cut_off(self, request: Request) -> bool:
        """Whether a cancelled request still has a caller that waits: the drain period is over."""
        return self.ending and not request.connection.lost

    def _admit(self, exchange: Exchange) -> None:
        self.limiter.admit(
            exchange.reservation,
            exchange.request,
            proxy=exchange.proxy.uid,
            principal=exchange.principal.id if exchange.principal.authenticated else None,
            is_stream=exchange.stays_open,
        )
        if exchange.request.connection.floods is not None:
            self.limits.check_flood(exchange)

    def _judge(self, exchange: Exchange, span: ServerSpan) -> Awaitable[None] | None:
        """Check what the message may do; return what to await where its contents are judged, too."""
        if exchange.snapshot.blocked is not None:
            check_blocked(exchange, exchange.snapshot.blocked)
        if "via" in exchange.request.headers:
            check_loop(exchange)
        visibility = exchange.proxy.visibility
        judges_content = visibility.content is not None or visibility.definitions is not None
        if judges_content and not exchange.is_whoami:
            return judge_request(exchange, span, self.services)
        if exchange.message is not None:
            exchange.decision = recall_or_authorize(exchange, exchange.message)
        return None

    def _count(self, exchange: Exchange, span: ServerSpan) -> Awaitable[None] | None:
        """Count the message; return what to await where the counters are elsewhere."""
        record.authorized(span, exchange)
        if exchange.usual is None and exchange.stays_open and not exchange.reservation.is_stream:
            become_stream(exchange.reservation)
        if exchange.proxy.limits is None:
            return None
        counting = self.limits.take(exchange, exchange.proxy.limits)
        record.limited(span, exchange)
        return counting
