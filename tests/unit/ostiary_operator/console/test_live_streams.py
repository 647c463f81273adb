"""Rows of a page as they come: bounded, alive, and judged before the first one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from console_sources import Objects
from evidence_replicas import NoEvidence
from timeouts import TIMEOUT_SECONDS

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console import in_flight, live_streams
from ostiary_operator.console.access.one_time_token import OneTimeAdmission
from ostiary_operator.console.application import ConsoleParts, application
from ostiary_operator.console.errors import NoRight
from ostiary_operator.console.live_streams import LiveStream
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.page import PageContext
from ostiary_operator.console.sources.protocols import ConsoleSources

BEARER = {"Authorization": "Bearer a-token-for-scripts"}
Client = TestClient[web.Request, web.Application]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a test."""

    tool_name: str


class Source:
    """Rows that a test puts in, and whether a reader is there."""

    def __init__(self) -> None:
        self.rows: asyncio.Queue[Row | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def open(self, context: PageContext) -> AsyncIterator[object]:
        if context.query.text("who") == "tenant":
            raise NoRight("you may not look at calls")
        return self._rows()

    async def _rows(self) -> AsyncIterator[object]:
        try:
            while (row := await self.rows.get()) is not None:
                yield row
        finally:
            self.closed.set()


@asynccontextmanager
async def console(source: Source) -> AsyncIterator[Client]:
    admission = OneTimeAdmission(lambda _path: None, fixed=SecretBytes(b"a-token-for-scripts"))
    sources = ConsoleSources(Objects(), NoEvidence())
    parts = ConsoleParts(ConsoleOptions(), admission, sources, streams=(LiveStream("/live", source.open),))
    async with TestClient(TestServer(application(parts))) as client:
        yield client


async def lines(response: object, count: int) -> list[object]:
    """The next rows of a stream; empty lines are left out."""
    assert hasattr(response, "content")
    found: list[object] = []
    while len(found) < count:
        line = await response.content.readline()
        assert line, "the stream has ended"
        found += [json.loads(line)] if line.strip() else []
    return found


async def test_rows_arrive_one_by_one_until_there_are_no_more() -> None:
    source = Source()
    async with console(source) as client, client.get("/live", headers=BEARER) as response:
        source.rows.put_nowait(Row("get_users"))
        first = await lines(response, 1)
        source.rows.put_nowait(Row("<b>\u202e"))
        source.rows.put_nowait(None)
        rest = await response.text()

    assert first == [{"toolName": "get_users"}]
    assert json.loads(rest) == {"toolName": "<b>\u202e"}
    assert response.content_type == "application/x-ndjson"
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_request_is_judged_before_the_first_row() -> None:
    async with console(Source()) as client:
        refused = await client.get("/live?who=tenant", headers=BEARER)
        unknown = await client.get("/live")

    assert (refused.status, unknown.status) == (403, 401)


async def test_a_source_is_closed_when_its_reader_goes() -> None:
    source = Source()
    async with console(source) as client:
        response = await client.get("/live", headers=BEARER)
        source.rows.put_nowait(Row("get_users"))
        await lines(response, 1)
        response.close()
        # The next row finds no reader.
        source.rows.put_nowait(Row("get_users"))
        source.rows.put_nowait(Row("get_users"))
        await asyncio.wait_for(source.closed.wait(), TIMEOUT_SECONDS)


async def test_a_quiet_stream_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_streams, "QUIET_SECONDS", 0.01)
    async with console(Source()) as client, client.get("/live", headers=BEARER) as response:
        assert [await response.content.readline() for _ in range(3)] == [b"\n"] * 3


async def test_a_stream_ends_after_its_time_so_that_rights_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_streams, "MOST_SECONDS", 0.01)
    source = Source()
    async with console(source) as client:
        response = await client.get("/live", headers=BEARER)

        assert (await response.text()).strip() == ""
        assert source.closed.is_set() or source.rows.empty()


async def test_streams_beyond_the_bound_are_told_to_come_again_and_pages_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(in_flight, "MOST_TAILS", 2)
    monkeypatch.setattr(in_flight, "MOST_REQUESTS", 1)
    async with console(Source()) as client:
        open_ones = [await client.get("/live", headers=BEARER) for _ in range(2)]
        third = await client.get("/live", headers=BEARER)
        page = await client.get("/", headers=BEARER)
        for each in open_ones:
            each.close()

    assert [each.status for each in open_ones] == [200, 200]
    assert (third.status, page.status) == (503, 200)
