"""The admin port of a gateway with several workers: it answers for all of them.

It holds no key: requests are passed on to the workers with their bearers, and a refusal of one of them is the answer.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from ostiary_core.evidence.document import EvidencePath
from ostiary_core.strict_json import dumps
from ostiary_gateway.admin.admin_port import admin_application, listen
from ostiary_gateway.threads import in_background
from ostiary_gateway.workers import merged_evidence
from ostiary_gateway.workers.followed_pages import FollowedPages
from ostiary_gateway.workers.merged_config import LastReports, merged_config
from ostiary_gateway.workers.worker_metrics import WorkerMetrics
from ostiary_gateway.workers.worker_requests import (
    WorkerAnswer,
    WorkerRequests,
    as_it_is,
    missing_member,
    no_answer,
    passed_headers,
    unanswered,
)
from ostiary_gateway.workers.worker_slot import WorkerSlot

#: Seconds for a worker to say whether it is ready.
_READY_SECONDS: Final = 1.5
_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Merge = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]
"""Makes one document of those of the workers; it runs in a thread."""


class AdminFront:
    """Serves the admin port.

    ``replica`` names this process, and ``is_draining`` returns whether its workers drain.
    """

    def __init__(
        self,
        requests: WorkerRequests,
        slots: Sequence[WorkerSlot],
        *,
        replica: str,
        is_draining: Callable[[], bool],
    ) -> None:
        self._requests = requests
        self._slots = slots
        self._replica = replica
        self._is_draining = is_draining
        self.metrics = WorkerMetrics(requests, slots)
        self._reports = LastReports(replica=replica)
        followed = FollowedPages(requests, slots, replica=replica)
        application = admin_application(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self.metrics.serve),
                *(web.get(path, self._merged(merge)) for path, merge in self._merges().items()),
                web.get(EvidencePath.CALLS, followed.calls),
                web.get(EvidencePath.CAPTURE, followed.captures),
                web.get("/capture", followed.captures),
                web.post("/workers/{index}/continuations", self._hop),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)

    def _merges(self) -> dict[str, Merge]:
        """Return how each page is made of those of the workers."""
        replica = self._replica
        return {
            "/config": lambda pages: merged_config(pages, replica=replica),
            "/limits": lambda pages: {"replica": replica, **merged_evidence.merged_limits(pages)},
            "/definitions": merged_evidence.merged_drift,
            "/catalogue": merged_evidence.merged_catalogue,
            EvidencePath.TRAFFIC: lambda pages: merged_evidence.merged_traffic(pages, replica=replica),
            EvidencePath.REFUSALS: lambda pages: merged_evidence.merged_refusals(pages, replica=replica),
            EvidencePath.DEFINITIONS: lambda pages: merged_evidence.merged_definitions(pages, replica=replica),
            EvidencePath.LIMITS: lambda pages: {
                **merged_evidence.merged_head(pages, replica=replica),
                **merged_evidence.merged_limits(pages),
            },
        }

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Raises:
            StartupError: it is taken, or the address is not ours.
        """
        await self._runner.setup()
        return await listen(self._runner, host, port)

    def worker_ended(self, index: int) -> None:
        """Keep what a worker had counted, and forget what it reported."""
        self.metrics.worker_ended(index)
        self._reports.worker_ended(index)
        self._requests.silent.discard(index)

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        """Answer that the supervisor works. It ends workers that hang by itself."""
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        """Answer whether callers may come: a worker is up, and every worker that is up is ready."""
        up = self._up()
        reasons = await asyncio.gather(*map(self._not_ready, up))
        reason = next((each for each in reasons if each), "" if up else "no worker is up")
        if self._is_draining():
            reason = "draining"
        count = f"{len(up)} of {len(self._slots)} workers up"
        return web.Response(text=f"{reason or 'ok'}\n{count}\n", status=503 if reason else 200)

    def _up(self) -> list[int]:
        return [slot.index for slot in self._slots if slot.is_up]

    async def _not_ready(self, index: int) -> str:
        """Return why a worker is not ready; empty if it is."""
        found = await self._requests.one(index, "/readyz", {}, seconds=_READY_SECONDS)
        if found is None:
            return f"worker {index} does not answer"
        return "" if found.status == 200 else found.body.decode(errors="replace").strip()

    def _merged(self, merge: Merge) -> Callable[[web.Request], Any]:
        """Return the handler of a page that is made of those of the workers.

        A worker that is up and does not answer is named in the page, which would look like the whole truth else. What
        some of them do not have, such as a proxy that has just come, the others tell.
        """

        async def serve(request: web.Request) -> web.Response:
            up = self._up()
            found = await self._requests.all(up, request.path_qs, passed_headers(request))
            if not found:
                return no_answer(up)
            good = [answer for answer in found if answer.status == 200]
            if refused := next((each for each in found if each.status in {400, 401}), None):
                return as_it_is(refused)
            if not good:
                return as_it_is(found[0])
            missing = unanswered(up, found)
            known = self._reported(good, missing) if request.path == "/config" else []
            body = await in_background(_page, merge, [*known, *(each.body for each in good)], missing)
            return web.Response(body=body, content_type="application/json", headers=_NO_STORE)

        return serve

    def _reported(self, found: Sequence[WorkerAnswer], missing: Sequence[int]) -> list[bytes]:
        """Return what workers that do not answer reported last, and note what others do."""
        for answer in found:
            self._reports.take(answer.index, answer.body)
        return [self._reports.of(index) for index in missing]

    async def _hop(self, request: web.Request) -> web.StreamResponse:
        """Pass what another replica has sealed on to the worker that it is for."""
        index = request.match_info["index"]
        if not index.isascii() or not index.isdigit() or len(index) > 3 or int(index) not in self._up():
            return web.Response(status=404, text="nothing waits here\n")
        return await self._requests.relay(int(index), "/continuations", request)


def _page(merge: Merge, bodies: Sequence[bytes], missing: Sequence[int]) -> bytes:
    """Return the page of the workers that answered; it names those that did not."""
    page = merge([orjson.loads(body) for body in bodies])
    return dumps({**page, **missing_member(missing)})
