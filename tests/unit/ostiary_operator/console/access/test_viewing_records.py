"""Who looks at the calls of others is recorded, before anything is shown."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from ostiary_operator.console.access.rights import Viewer
from ostiary_operator.console.access.viewing_records import ViewingRecords, is_recorded
from ostiary_operator.console.errors import NoRight

ADA = Viewer("ada", ("sales",), "7")
Client = TestClient[web.Request, web.Application]


class Written:
    """The lines, and whether the place for them takes any."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_full = False

    def __call__(self, line: str) -> None:
        if self.is_full:
            raise OSError("no space is left")
        self.lines.append(line)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
async def client(written: Written) -> AsyncIterator[Client]:
    records = ViewingRecords(written, clock=lambda: 1_800_000_000.25)

    async def page(request: web.Request) -> web.StreamResponse:
        if request.query.get("proxy") == "other/secret":
            raise NoRight("you may not")
        return web.Response(text=f"{len(written.lines)} records before")

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await records.handle(request, ADA, page)
        except NoRight as error:
            return web.Response(status=error.status)
        except OSError:
            return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestClient(TestServer(app)) as made:
        yield made


async def test_a_viewer_of_calls_is_recorded_before_the_page_and_with_its_status(
    client: Client, written: Written
) -> None:
    headers = {"User-Agent": "test", "X-Forwarded-For": "198.51.100.7, unknown"}
    response = await client.get("/calls?proxy=sales/crm", headers=headers)
    assert await response.text() == "1 records before"
    received, complete = written.records
    assert complete == {**received, "stage": "ResponseComplete", "responseStatus": {"code": 200}}
    assert len(received.pop("auditID")) == 36
    assert received == {
        "apiVersion": "audit.ostiary.dev/v1",
        "kind": "ConsoleRequest",
        "stage": "RequestReceived",
        "stageTimestamp": "2027-01-15T08:00:00.250000Z",
        "verb": "GET",
        "requestURI": "/calls?proxy=sales/crm",
        "sourceIPs": ["198.51.100.7", "127.0.0.1"],
        "userAgent": "test",
        "user": {"username": "ada", "groups": ["sales"], "uid": "7"},
    }


async def test_one_who_may_not_look_is_recorded_too(client: Client, written: Written) -> None:
    assert (await client.get("/calls?proxy=other/secret")).status == 403
    assert written.records[-1]["responseStatus"] == {"code": 403}


async def test_no_page_is_shown_without_a_record(client: Client, written: Written) -> None:
    written.is_full = True
    assert (await client.get("/calls")).status == 503
    assert (await client.get("/traffic")).status == 200


@pytest.mark.parametrize("path", ["/calls", "/calls.json", "/calls/live"])
def test_the_page_its_twin_and_its_live_rows_are_recorded(path: str) -> None:
    assert is_recorded(path)


@pytest.mark.parametrize("path", ["/", "/traffic", "/callsign", "/proxies/calls/calls"])
def test_other_pages_are_not(path: str) -> None:
    assert not is_recorded(path)


async def test_a_line_is_one_line_whatever_a_browser_sends(client: Client, written: Written) -> None:
    await client.get("/calls?proxy=%0a%1b[31m%E2%80%AE", headers={"User-Agent": "\u202e" + "x" * 3000})
    for line in written.lines:
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        assert line.isascii()
        assert len(line) < 4000
