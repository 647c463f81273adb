"""``/evidence`` of the admin port: what this replica has recorded.

Only GET, and nothing here changes anything. A reader may be greedy: answers are bounded, large ones are made in a
thread one at a time, and readers that follow are few.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from ostiary_core.evidence.document import EvidencePath
from ostiary_core.strict_json import dumps
from ostiary_gateway.admin.config_report import entry_rejection
from ostiary_gateway.admin.handlers import LimitPage
from ostiary_gateway.admin.listed_definitions import definitions_of
from ostiary_gateway.admin.rights import AdminRight, AdminRights
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.debug_capture.reader import CaptureReaders
from ostiary_gateway.evidence.call_documents import call_lines, calls_document
from ostiary_gateway.evidence.evidence_query import (
    AskedCalls,
    AskedProxies,
    AskedTraffic,
    UnusableParameter,
    known,
)
from ostiary_gateway.evidence.gateway_evidence import GatewayEvidence
from ostiary_gateway.evidence.refusal_table import refusal_document
from ostiary_gateway.threads import in_background

#: Readers of ``/evidence/calls`` that follow at the same time; more get 503.
MOST_FOLLOWERS: Final = 64
#: Seconds after which a reader that takes nothing is closed.
_WRITE_SECONDS: Final = 30.0
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_LINES: Final = {"Content-Type": "application/jsonl", **_HEADERS}


class EvidenceRoutes:
    """Answers requests for evidence.

    ``replica`` names this process. ``settle`` has the requests recorded that have ended.
    """

    def __init__(
        self,
        evidence: GatewayEvidence,
        *,
        store: ConfigStore,
        replica: str,
        captures: CaptureReaders,
        limits: LimitPage,
        settle: Callable[[], None],
    ) -> None:
        self._settle = settle
        self._evidence = evidence
        self._store = store
        self._replica = replica
        self._captures = captures
        self._limit_page = limits
        self._writing = asyncio.Lock()
        self._following = 0

    def routes(self, rights: AdminRights) -> list[web.RouteDef]:
        """Return the routes, all of which need the evidence bearer."""
        answers = {
            EvidencePath.TRAFFIC: self._traffic,
            EvidencePath.CALLS: self._calls,
            EvidencePath.REFUSALS: self._refusals,
            EvidencePath.LIMITS: self._limits,
            EvidencePath.DEFINITIONS: self._definitions,
            EvidencePath.CAPTURE: self._captures.serve,
        }
        return [
            web.get(path.value, rights.needed(AdminRight.EVIDENCE, self._judged(answer)))
            for path, answer in answers.items()
        ]

    def _judged(self, answer: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        """Return a handler that reads what has ended, and answers 400 to an unusable query."""

        async def judged(request: web.Request) -> web.StreamResponse:
            self._settle()
            try:
                found: web.StreamResponse = await answer(request)
            except UnusableParameter as error:
                return _problem(400, "InvalidQuery", str(error))
            return found

        return judged

    def _head(self) -> dict[str, Any]:
        snapshot, evidence = self._store.snapshot, self._evidence
        return {
            "replica": self._replica,
            "gateway": "" if snapshot is None else snapshot.gateway.identity,
            "since": evidence.since,
            "now": evidence.now(),
            "recording": evidence.is_on,
        }

    def _answer(self, found: Mapping[str, Any]) -> web.Response:
        return web.Response(body=dumps({**self._head(), **found}), content_type="application/json", headers=_HEADERS)

    async def _traffic(self, request: web.Request) -> web.Response:
        """Answer with counts. One at a time: a large answer takes a thread for a while."""
        query = AskedTraffic.of(request.query)
        async with self._writing:
            traffic = self._evidence.traffic
            copies, more = await traffic.copies(query)
            head = self._head() | ({"next": more} if more is not None else {})
            body = await in_background(lambda: dumps({**head, "proxies": traffic.document(copies, query)}))
        return web.Response(body=body, content_type="application/json", headers=_HEADERS)

    async def _refusals(self, request: web.Request) -> web.Response:
        known(request.query, {"proxy", "namespace"})
        choice, table = AskedProxies.of(request.query), self._evidence.refusals
        found = [refusal_document(key, counted) for key, counted in table.items() if choice.has(key.proxy)]
        found.sort(key=lambda each: -each["last"])
        return self._answer({"refusals": found, "forgotten": table.forgotten})

    async def _limits(self, request: web.Request) -> web.Response:
        try:
            return self._answer(await self._limit_page(request.query))
        except ValueError as error:
            raise UnusableParameter(str(error)) from error

    async def _definitions(self, request: web.Request) -> web.Response:
        """Answer with what the servers of one proxy have listed.

        In a thread: masks look at every text.
        """
        known(request.query, {"proxy"})
        snapshot, identity = self._store.snapshot, request.query.get("proxy", "")
        proxy = snapshot.proxies.get(identity) if snapshot is not None else None
        if proxy is None:
            return _problem(404, "NotServed", "proxy: name one that this gateway serves, as NAMESPACE/NAME")
        rejection = entry_rejection(self._store.rejected_entries.get(identity))
        entry = {"active": proxy.digest, "rejected": rejection}
        head = {**self._head(), "proxy": identity, "entry": entry}
        async with self._writing:
            body = await in_background(lambda: dumps({**head, **definitions_of(proxy)}))
        return web.Response(body=body, content_type="application/json", headers=_HEADERS)

    async def _calls(self, request: web.Request) -> web.StreamResponse:
        query = AskedCalls.of(request.query)
        if not query.follow:
            return self._answer(calls_document(self._evidence.calls, query))
        if self._following >= MOST_FOLLOWERS:
            return _problem(503, "TooManyReaders", f"{MOST_FOLLOWERS} readers follow already")
        self._following += 1
        try:
            return await self._follow(request, query)
        finally:
            self._following -= 1

    async def _follow(self, request: web.Request, query: AskedCalls) -> web.StreamResponse:
        evidence, response = self._evidence, web.StreamResponse(headers=_LINES)
        since = evidence.since
        try:
            await response.prepare(request)
            await _write(response, dumps({"kind": "Calls", **self._head(), "last": evidence.calls.last}) + b"\n")
            async for chunk in call_lines(
                evidence.calls, query, is_over=lambda: not evidence.is_on or evidence.since != since
            ):
                await _write(response, chunk)
            await response.write_eof()
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        return response


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    async with asyncio.timeout(_WRITE_SECONDS):
        await response.write(chunk)


def _problem(status: int, reason: str, message: str) -> web.Response:
    body = dumps({"reason": reason, "message": message}) + b"\n"
    return web.Response(status=status, body=body, content_type="application/json", headers=_HEADERS)
