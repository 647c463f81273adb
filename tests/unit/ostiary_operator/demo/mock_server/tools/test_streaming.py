import asyncio
import json
from typing import Any

import pytest
from mcp import Client
from mcp.types import LoggingLevel, LoggingMessageNotificationParams
from mcp_clients import ERAS, Era, MockProcess, connect, eventually

# The SDK warns about it; sessions of the older revisions still have it.
_LOGGING_IS_DEPRECATED = pytest.mark.filterwarnings("ignore:The logging capability is deprecated")


class Received:
    """Collects progress and log messages."""

    def __init__(self) -> None:
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.logs: list[LoggingMessageNotificationParams] = []

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))

    async def on_log(self, params: LoggingMessageNotificationParams) -> None:
        self.logs.append(params)


@pytest.mark.parametrize("era", ERAS)
async def test_progress_and_log_messages_come_while_the_tool_works(mock: MockProcess, era: Era) -> None:
    received = Received()
    async with connect(mock.url, era=era, logging_callback=received.on_log, log_level="info") as client:
        arguments = {"count": 3, "interval_ms": 10}
        result = await client.call_tool("stream_count", arguments, progress_callback=received.on_progress)
        await eventually(lambda: len(received.logs) == len(received.progress) == 3)

    assert result.structured_content == {"counted": 3}
    assert received.progress == [(1, 3, "1 of 3"), (2, 3, "2 of 3"), (3, 3, "3 of 3")]
    assert [log.data for log in received.logs] == ["Counted 1", "Counted 2", "Counted 3"]
    assert {log.logger for log in received.logs} == {"mock.streaming"}


@pytest.mark.parametrize("era", ERAS)
async def test_the_first_progress_comes_long_before_the_result(mock: MockProcess, era: Era) -> None:
    received = Received()
    async with connect(mock.url, era=era) as client:
        arguments = {"seconds": 60, "steps": 100}
        calling = asyncio.create_task(client.call_tool("long_task", arguments, progress_callback=received.on_progress))
        await eventually(lambda: bool(received.progress))
        assert not calling.done()
        await _cancel(calling)


@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_call_stops_working(fresh_mock: MockProcess, era: Era) -> None:
    async with connect(fresh_mock.url, era=era) as client, connect(fresh_mock.url, era="modern") as observer:

        async def running() -> bool:
            return "long_task" in (await _activity(observer))["running"]

        async def stopped() -> bool:
            return not await running()

        calling = asyncio.create_task(client.call_tool("long_task", {"seconds": 300}))
        await eventually(running)
        await _cancel(calling)
        await eventually(stopped)


@_LOGGING_IS_DEPRECATED
@pytest.mark.parametrize(("level", "expected"), [("debug", 4), ("info", 2), ("error", 1), ("emergency", 0)])
async def test_a_session_hears_what_its_log_level_lets_through(
    mock: MockProcess, level: LoggingLevel, expected: int
) -> None:
    received = Received()
    async with connect(mock.url, era="legacy", logging_callback=received.on_log) as client:
        await client.set_logging_level(level)
        await _fail_in_two_steps(client)

        assert len(received.logs) == expected


@_LOGGING_IS_DEPRECATED
async def test_one_session_does_not_set_the_log_level_of_another(mock: MockProcess) -> None:
    received = Received()
    async with (
        connect(mock.url, era="legacy") as quiet,
        connect(mock.url, era="legacy", logging_callback=received.on_log) as curious,
    ):
        await quiet.set_logging_level("emergency")
        await _fail_in_two_steps(curious)

        assert len(received.logs) == 4


async def test_a_modern_client_that_names_no_level_hears_no_log_message(mock: MockProcess) -> None:
    received = Received()
    async with connect(mock.url, era="modern", logging_callback=received.on_log) as client:
        await _fail_in_two_steps(client, on_progress=received.on_progress)

    assert received.logs == []
    assert len(received.progress) == 2


async def _fail_in_two_steps(client: Client, *, on_progress: Any = None) -> None:
    """Log once at info, twice at debug, once at error; all come before the result, on its stream."""
    result = await client.call_tool(
        "long_task", {"seconds": 0, "steps": 2, "fail": True}, progress_callback=on_progress
    )
    assert result.is_error


async def _activity(client: Client) -> dict[str, dict[str, int]]:
    [content] = (await client.read_resource("mock://activity")).contents
    report: dict[str, dict[str, int]] = json.loads(content.text)  # type: ignore[union-attr]
    return report


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
