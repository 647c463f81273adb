"""What a replica notes of sessions is bounded, and a proxy with many sessions takes no room from others."""

import pytest

from ostiary_gateway.pipeline.merged_sessions import session_notes
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey, SessionNote, SessionNotes
from ostiary_gateway.session_ids import UpstreamSession

CRM = b"crm-mark"
SESSION = UpstreamSession("one", "2025-11-25")


def key(text: str = "aa", proxy: str = "tools/crm") -> SessionKey:
    return SessionKey(proxy, f"uid-of-{proxy}", "agent", text)


async def test_what_was_noted_is_known_until_the_session_ends() -> None:
    notes = SessionNotes()
    await notes.note_server(key(), CRM, SESSION)
    await notes.note_log_level(key(), "warning")
    await notes.note_subscription(key(), CRM, "file:///a", subscribed=True)

    assert notes.known(key()) == SessionNote({CRM: SESSION}, "warning", {CRM: {"file:///a"}})
    assert notes.known(key("bb")) is None

    await notes.note_subscription(key(), CRM, "file:///a", subscribed=False)
    assert (await notes.looked_up(key())).subscriptions == {CRM: set()}

    await notes.note_end(key())
    assert notes.known(key()) == SessionNote({}, "warning", {}, ended=True)


async def test_a_gateway_that_keeps_no_notes_remembers_nothing() -> None:
    notes = SessionNotes()
    notes.are_kept = False
    await notes.note_server(key(), CRM, SESSION)
    await notes.note_log_level(key(), "warning")
    await notes.note_subscription(key(), CRM, "file:///a", subscribed=True)

    assert await notes.looked_up(key()) == SessionNote()
    assert len(notes) == 0


async def test_a_proxy_with_many_sessions_forgets_its_own_oldest_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_notes, "_OF_ONE_PROXY", 3)
    notes = SessionNotes()
    await notes.note_log_level(key("other", proxy="tools/other"), "info")
    for number in range(5):
        await notes.note_log_level(key(str(number)), "info")
        notes.known(key("0"))

    assert [number for number in range(5) if notes.known(key(str(number))) is not None] == [0, 3, 4]
    assert notes.known(key("other", proxy="tools/other")) is not None


async def test_where_all_proxies_together_have_too_many_the_one_with_the_most_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_notes, "_IN_ALL", 4)
    notes = SessionNotes()
    for number in range(4):
        await notes.note_log_level(key(str(number)), "info")
    await notes.note_log_level(key("one", proxy="tools/other"), "info")

    assert len(notes) == 4
    assert notes.known(key("0")) is None
    assert notes.known(key("one", proxy="tools/other")) is not None


async def test_sessions_of_proxies_that_are_gone_are_forgotten() -> None:
    notes = SessionNotes()
    await notes.note_log_level(key(), "info")
    await notes.note_log_level(key(proxy="tools/other"), "info")
    notes.forget_proxies(frozenset({"tools/other"}))

    assert notes.known(key()) is None
    assert len(notes) == 1


def test_a_session_has_room_for_a_bounded_number_of_subscriptions() -> None:
    note = SessionNote()
    uris = {f"file:///{number}" for number in range(256)}
    note.subscriptions[CRM] = uris

    assert not note.has_room_for("file:///more")
    assert not SessionNote().has_room_for("x" * 65_537)
    assert SessionNote().has_room_for("x" * 4096)


async def test_sessions_with_much_to_note_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_notes, "_BYTES_OF_ONE_PROXY", 20_000)
    monkeypatch.setattr(session_notes, "_BYTES_IN_ALL", 30_000)
    notes = SessionNotes()
    await notes.note_log_level(key("other", proxy="tools/other"), "info")
    for number in range(50):
        for part in range(4):
            await notes.note_subscription(key(str(number)), CRM, f"file:///{part}" + "x" * 1000, subscribed=True)

    assert [number for number in range(50) if notes.known(key(str(number))) is not None] == [47, 48, 49]
    assert notes.known(key("other", proxy="tools/other")) is not None

    await notes.note_end(key("47"))
    await notes.note_subscription(key("50"), CRM, "file:///" + "x" * 4000, subscribed=True)
    assert notes.known(key("47")) is not None

    for number in range(4):
        await notes.note_subscription(key("1", f"tools/{number}"), CRM, "file:///" + "x" * 6000, subscribed=True)
    assert len(notes) < 8
    notes.forget_proxies(frozenset({"tools/3"}))
    assert len(notes) == 1
