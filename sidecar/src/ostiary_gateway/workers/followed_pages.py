"""``/evidence/calls`` and ``/capture`` for all workers: once, or as it comes."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import aiohttp
import orjson
from aiohttp import web

from ostiary_core.evidence.recorded_call import MOST_CALLS
from ostiary_core.strict_json import dumps
from ostiary_gateway.threads import in_background
from ostiary_gateway.workers.followed_lines import FollowedLines
from ostiary_gateway.workers.merged_evidence import merged_calls, merged_head
from ostiary_gateway.workers.worker_requests import (
    WorkerRequests,
    as_it_is,
    missing_member,
    no_answer,
    passed_headers,
    unanswered,
)
from ostiary_gateway.workers.worker_slot import WorkerSlot

_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_LINES: Final = {"Content-Type": "application/jsonl", **_NO_STORE}
#: Readers that follow at the same time; more get 503.
_MOST_FOLLOWERS: Final = 64

Missing: TypeAlias = Mapping[str, Any]
"""The member of a page that names the workers that did not answer; empty where all did."""
Head: TypeAlias = Callable[[Sequence[Any], Missing], bytes]
"""Makes the first line of a stream of those of the workers."""


class FollowedPages:
    """Answers with the records of all workers. ``replica`` names this process."""

    def __init__(self, requests: WorkerRequests, slots: Sequence[WorkerSlot], *, replica: str) -> None:
        self._requests = requests
        self._slots = slots
        self._replica = replica
        #: When the supervisor began, in epoch milliseconds. Numbers of calls grow from then on.
        self._since = time.time_ns() // 1_000_000
        self._following = 0

    def _up(self) -> list[tuple[int, int]]:
        """Return the workers that are up, by index and generation."""
        return [(slot.index, slot.generation) for slot in self._slots if slot.is_up]

    async def calls(self, request: web.Request) -> web.StreamResponse:
        """Answer ``/evidence/calls``."""
        if request.query.get("follow") == "true":
            return await self._follow(request, member="number", head=self._calls_head)
        until = time.time_ns() // 1_000
        return await self._once(request, lambda bodies, missing: self._calls_page(bodies, missing, request, until))

    def _calls_head(self, heads: Sequence[Any], missing: Missing) -> bytes:
        last = max(int(head.get("last", 0)) for head in heads)
        joined = {**heads[0], **merged_head(heads, replica=self._replica), "since": self._since, "last": last}
        return dumps({**joined, **missing})

    def _calls_page(self, bodies: Sequence[bytes], missing: Missing, request: web.Request, until: int) -> web.Response:
        documents = [orjson.loads(body) for body in bodies]
        most = int(request.query.get("limit", MOST_CALLS))
        is_first = request.query.get("after", "0") == "0"
        found = merged_calls(documents, replica=self._replica, until=until, most=most, is_first=is_first)
        body = dumps({**found, "since": self._since, **missing})
        return web.Response(body=body, content_type="application/json", headers=_NO_STORE)

    async def captures(self, request: web.Request) -> web.StreamResponse:
        """Answer ``/capture``."""
        if request.query.get("follow") == "true" and request.query.get("proxy"):
            return await self._follow(request, member="sequence", head=self._capture_head)
        return await self._once(request, self._capture_page)

    def _capture_head(self, heads: Sequence[Any], missing: Missing) -> bytes:
        """Return one description of the captures of one proxy at several workers."""
        sums = {count: sum(int(head.get(count, 0)) for head in heads) for count in ("records", "bytes", "skipped")}
        ended = next((head["ended"] for head in heads), "") if all(head.get("ended") for head in heads) else ""
        until = max(head["until"] for head in heads)
        return dumps({**heads[0], "replica": self._replica, "ended": ended, "until": until, **sums, **missing})

    def _capture_page(self, bodies: Sequence[bytes], missing: Missing) -> web.Response:
        lines = [orjson.loads(line) for body in bodies for line in body.splitlines() if line]
        by_proxy: dict[str, list[Any]] = {}
        for line in lines:
            if line.get("kind") == "Capture":
                by_proxy.setdefault(line["proxy"], []).append(line)
        records = sorted((line for line in lines if line.get("kind") != "Capture"), key=lambda x: x.get("sequence", 0))
        heads = [self._capture_head(found, missing) for found in by_proxy.values()]
        written = [*heads, *map(orjson.dumps, records)]
        return web.Response(body=b"".join(line + b"\n" for line in written), headers=_LINES)

    async def _once(
        self, request: web.Request, page: Callable[[Sequence[bytes], Missing], web.Response]
    ) -> web.Response:
        """Answer with what the workers have now."""
        up = [index for index, _ in self._up()]
        found = await self._requests.all(up, request.path_qs, passed_headers(request))
        if not found:
            return no_answer(up)
        good = [answer.body for answer in found if answer.status == 200]
        refused = next((each for each in found if each.status in {400, 401}), None if good else found[0])
        missing = missing_member(unanswered(up, found))
        return as_it_is(refused) if refused is not None else await in_background(page, good, missing)

    async def _follow(self, request: web.Request, *, member: str, head: Head) -> web.StreamResponse:
        """Answer with what workers have, and with what they will have."""
        if self._following >= _MOST_FOLLOWERS:
            body = dumps({"reason": "TooManyReaders", "message": f"{_MOST_FOLLOWERS} readers follow already"}) + b"\n"
            return web.Response(status=503, body=body, content_type="application/json", headers=_NO_STORE)
        up = self._up()
        opened: list[aiohttp.ClientResponse | None] = []
        self._following += 1
        try:
            target, headers = request.path_qs, passed_headers(request)
            opened += await asyncio.gather(*(self._requests.opened(index, target, headers) for index, _ in up))
            return await self._followed(request, opened, up, member, head)
        finally:
            self._following -= 1
            for answer in opened:
                if answer is not None:
                    answer.close()

    async def _followed(
        self,
        request: web.Request,
        opened: Sequence[aiohttp.ClientResponse | None],
        up: Sequence[tuple[int, int]],
        member: str,
        head: Head,
    ) -> web.StreamResponse:
        answers = [answer for answer in opened if answer is not None]
        if not answers:
            return no_answer([index for index, _ in up])
        good = [answer for answer in answers if answer.status == 200]
        if not good:
            body = await answers[0].read()
            return web.Response(status=answers[0].status, body=body, content_type=answers[0].content_type)
        missing = [index for (index, _), answer in zip(up, opened, strict=True) if answer is None]
        lines = FollowedLines(good, member=member)
        response = web.StreamResponse(headers=_LINES)
        try:
            first = head(await lines.heads(), missing_member(missing))
            await response.prepare(request)
            await response.write(first + b"\n")
            await lines.write(response, is_over=lambda: self._up() != up or self._is_back(missing))
            await response.write_eof()
        except (TimeoutError, ConnectionError, ValueError):
            if request.transport is not None:
                request.transport.abort()
        return response

    def _is_back(self, missing: Sequence[int]) -> bool:
        """Return whether a worker answers again that a reader does not follow."""
        return any(index not in self._requests.silent for index in missing)
