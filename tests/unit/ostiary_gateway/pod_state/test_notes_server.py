"""Notes over a socket: every worker reads what another one noted, and a supervisor that is gone harms no call."""

import asyncio
from pathlib import Path

import pytest

from ostiary_gateway.pod_state.notes_server import NotesLink, NotesServer, NotesUnavailableError


async def test_what_one_worker_notes_another_one_reads(tmp_path: Path) -> None:
    server, first, second = NotesServer(tmp_path), NotesLink(tmp_path), NotesLink(tmp_path)
    await server.start()
    assert await first.command("HSET", "h", "field", 'a "value"\n') == 1
    assert await second.command("HGETALL", "h") == ["field", 'a "value"\n']
    found = await asyncio.gather(*(second.command("HGETALL", f"h{each % 2 or ''}") for each in range(10)))
    assert found == [["field", 'a "value"\n'], []] * 5
    await first.close()
    await second.close()
    await server.close()


async def test_a_call_that_is_cancelled_leaves_no_answer_for_the_next_one(tmp_path: Path) -> None:
    server, link = NotesServer(tmp_path), NotesLink(tmp_path)
    await server.start()
    await link.command("HSET", "h", "field", "value")
    asking = asyncio.create_task(link.command("HGETALL", "h"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await link.command("HGETALL", "other") == []
    await link.close()
    await server.close()


async def test_a_supervisor_that_does_not_answer_is_told_and_asked_again_later(tmp_path: Path) -> None:
    server, link = NotesServer(tmp_path), NotesLink(tmp_path)
    with pytest.raises(NotesUnavailableError):
        await link.command("HGETALL", "h")
    await server.start()
    assert await link.command("HGETALL", "h") == []
    await server.close()
    with pytest.raises(NotesUnavailableError):
        await link.command("HGETALL", "h")
    await link.close()


async def test_what_is_no_message_ends_the_connection_of_its_sender_alone(tmp_path: Path) -> None:
    server, link = NotesServer(tmp_path), NotesLink(tmp_path)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "notes.sock"))
    writer.write(b"no json\n")
    assert await reader.readline() == b"null\n"
    assert await link.command("HGETALL", "h") == []
    writer.close()
    await link.close()
    await server.close()
