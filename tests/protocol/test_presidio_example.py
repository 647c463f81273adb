"""The scorer of `examples/presidio`, in front of a service that answers as Presidio's analyzer does."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from timeouts import TIMEOUT_SECONDS
from web_application import serving_application

from ostiary_core.content.scoring.scorer_texts import ScorerError
from ostiary_core.contract.guards import ScorerConfig
from ostiary_gateway.content.scorer_client import Scorers

ADAPTER = Path(__file__).parents[2] / "examples" / "presidio" / "adapter.py"
NAME = "Zoë Müller"


async def analyze(request: web.Request) -> web.StreamResponse:
    """Find one name, as Presidio reports what it finds."""
    asked = await request.json()
    assert asked["language"] == "en"
    assert asked["entities"] == ["PERSON"]
    start = asked["text"].find(NAME)
    found: list[dict[str, Any]] = []
    if start >= 0:
        found = [{"analysis_explanation": None, "end": start + len(NAME), "entity_type": "PERSON", "score": 0.85}]
        found[0]["start"] = start
    return web.json_response(found)


@asynccontextmanager
async def adapter(presidio: str) -> AsyncIterator[str]:
    """Run the adapter as its page says; give its URL."""
    arguments = ["--presidio", presidio, "--port", "0", "--entity", "PERSON"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ADAPTER), *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_SECONDS):
            line = await process.stdout.readline()
        yield line.decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def presidio() -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/analyze", analyze)
    async with serving_application(application) as url:
        yield url


def request(*texts: str) -> dict[str, Any]:
    given = [{"place": f"/result/content/{number}/text", "text": text} for number, text in enumerate(texts)]
    return {"version": 1, "direction": "Results", "method": "tools/call", "name": "t", "texts": given}


def config(url: str) -> ScorerConfig:
    return ScorerConfig(url=url, timeout=60_000, max_bytes=65536, on_failure="Block", sends="Masked")


async def ask(url: str, *texts: str) -> Any:
    return await Scorers().ask(config(url), request(*texts), addresses=["127.0.0.0/8"])


async def test_what_presidio_finds_is_flagged_where_it_stands(presidio: str) -> None:
    async with adapter(presidio) as url:
        text = f"👩‍💻 sold to {NAME} yesterday"
        [(number, start, end)] = await ask(url, "nothing here", text)
        assert (number, text[start:end]) == (1, NAME)
        assert await ask(url, "nothing here") is None


async def test_without_presidio_there_is_no_verdict() -> None:
    async with adapter("http://127.0.0.1:9") as url:
        with pytest.raises(ScorerError, match="502"):
            await ask(url, "text")


async def test_what_is_no_request_is_refused(presidio: str) -> None:
    async with adapter(presidio) as url:
        for body in (b"no json", b"[]", json.dumps({"texts": 3}).encode()):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            assert b" 400 " in await reader.readline()
            writer.close()
