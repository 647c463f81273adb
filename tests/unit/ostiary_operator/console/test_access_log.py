"""The line of a request says who looked at what, and nothing that could be used."""

import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from ostiary_operator.console.access.admission import VIEWER
from ostiary_operator.console.access.rights import Viewer
from ostiary_operator.console.access_log import access_log


async def answer(request: web.Request) -> web.Response:
    request[VIEWER] = Viewer("ada\n\x1b[31m")
    if "gone" in request.path:
        raise web.HTTPGone
    return web.Response(text="ok")


async def test_a_query_is_left_out_and_names_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=access_log.__module__)
    application = web.Application(middlewares=[access_log])
    application.router.add_get("/{tail:(?s:.*)}", answer)
    async with TestClient(TestServer(application)) as client:
        await client.get("/sign-in?once=secret-token")
        await client.get("/gone%0Aforged")
        await client.get("/healthz")

    lines = [record.getMessage() for record in caplog.records if record.name == access_log.__module__]
    assert len(lines) == 2
    assert lines[0].startswith("GET /sign-in 200 ")
    assert lines[0].endswith(" ms viewer=ada\\u{a}\\u{1b}[31m")
    assert lines[1].startswith("GET /gone%0Aforged 410 ")
    assert "secret" not in caplog.text
