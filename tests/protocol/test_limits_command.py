"""`ostiary limits` joins what replicas report, and says what they do not."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from command_line import CommandResult, Ostiary, ostiary_command
from web_application import serving_application

TOKEN = "admin-for-tests"


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


@pytest.fixture
def token(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return str(file)


def usage(used: int, **more: Any) -> dict[str, Any]:
    return {
        "policy": "default/weather",
        "limit": "weather-daily",
        "key": "u/weather-daily/get_weather",
        "dimensions": {"Tool": "get_weather"},
        "unit": "requests",
        "used": used,
        "amount": 100,
        "remaining": 100 - used,
        "resetAt": "2099-01-01T00:00:00Z",
        **more,
    }


@asynccontextmanager
async def replica(*pages: Mapping[str, Any]) -> AsyncIterator[str]:
    """The admin port of a replica with these pages; yields its URL."""

    async def limits(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        number = int(request.query.get("after", "0"))
        following = str(number + 1) if number + 1 < len(pages) else None
        return web.json_response({"replica": "r", "since": 1, "now": 2, "next": following, **pages[number]})

    app = web.Application()
    app.add_routes([web.get("/evidence/limits", limits)])
    async with serving_application(app) as origin:
        yield origin


async def limits(ostiary: Ostiary, token: str, urls: list[str], *more: str) -> CommandResult:
    given = [word for url in urls for word in ("--admin", url)]
    return await asyncio.to_thread(ostiary, "limits", *more, *given, "--token-file", token)


async def test_what_replicas_counted_is_added_up_and_shared_counters_are_not(ostiary: Ostiary, token: str) -> None:
    for counters, total in (("Local", 50), ("Shared", 30)):
        page = {"counters": counters}
        async with replica({**page, "keys": [usage(20)]}) as one, replica({**page, "keys": [usage(30)]}) as other:
            done = await limits(ostiary, token, [one, other], "-o", "json")
        (key,) = json.loads(done.out)["keys"]
        assert (done.code, key["used"], key["remaining"]) == (0, total, 100 - total)


@pytest.mark.parametrize(("counters", "said"), [("Local", True), ("Shared", False)])
async def test_a_table_of_sums_says_that_each_replica_lets_the_whole_limit_through(
    ostiary: Ostiary, token: str, counters: str, said: bool
) -> None:
    page = {"counters": counters, "keys": [usage(20)]}
    async with replica(page) as one, replica(page) as other:
        done = await limits(ostiary, token, [one, other])
    assert ("used is the sum of 2 replicas that count each by itself" in done.err) is said


async def test_the_table_says_for_whom_and_when_it_is_available_again_nearest_first(
    ostiary: Ostiary, token: str
) -> None:
    agent = usage(3, limit="agent-hourly", key="u/agent-hourly/a", dimensions={"Consumer": "default/a"}, amount=1000)
    async with replica({"keys": [agent]}, {"keys": [usage(100)]}) as url:
        done = await limits(ostiary, token, [url])
    header, second, first = done.out.splitlines()

    assert header.split() == [*["POLICY", "LIMIT", "FOR", "USED", "OF", "LEFT", "UNIT"], "AVAILABLE", "AGAIN"]
    assert first.split()[1:7] == ["agent-hourly", "Consumer", "default/a", "3", "1,000", "997"]
    assert second.split()[1:7] == ["weather-daily", "Tool", "get_weather", "100", "100", "0"]


async def test_a_replica_that_does_not_answer_is_named(ostiary: Ostiary, token: str) -> None:
    async with replica({"keys": [usage(20)]}) as url:
        done = await limits(ostiary, token, [url, "http://127.0.0.1:1"])
    assert (done.code, "get_weather" in done.out) == (1, True)
    assert "replica http://127.0.0.1:1: no answer: Connection refused" in done.err


@pytest.mark.parametrize(
    "page",
    [
        {"keys": [{}]},
        {"keys": 3},
        {"keys": [usage(1) | {"dimensions": []}]},
        *({"keys": [usage(1) | {member: number}]} for member in ("used", "amount") for number in (-1, 2**64, 10**400)),
        {"keys": [usage(1) | {"used": float("inf")}]},
    ],
)
async def test_a_page_of_another_form_is_no_crash(ostiary: Ostiary, token: str, page: dict[str, Any]) -> None:
    async with replica(page) as url:
        done = await limits(ostiary, token, [url])
    assert (done.code, done.out) == (2, "")


async def test_escape_sequences_of_a_key_do_not_reach_the_terminal(ostiary: Ostiary, token: str) -> None:
    async with replica({"keys": [usage(1, dimensions={"Tool": "\x1b[2Jx"})]}) as url:
        done = await limits(ostiary, token, [url])
    assert "\x1b" not in done.out
