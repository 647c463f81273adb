"""What a server adds to a catalogue is known by its latest lists, and drops are logged when they change."""

import gc
import logging

import pytest

from ostiary_gateway.catalogue.drops import Drop, DropReason, ServerPart
from ostiary_gateway.telemetry.server_listings import ServerListings


class Server:
    """Known by its identity."""


def part(shown: int, *drops: Drop) -> ServerPart:
    made = ServerPart()
    made.shown = shown
    for each in drops:
        made.dropped(each)
    return made


FOREIGN, TOO_LONG = DropReason.FOREIGN, DropReason.TOO_LONG


def test_the_latest_lists_count(caplog: pytest.LogCaptureFixture) -> None:
    listings, server = ServerListings(), Server()
    listings.note(server, "ns/p", "tools/list", part(5, Drop(FOREIGN, "a"), Drop(FOREIGN, "b")))
    listings.note(server, "ns/p", "prompts/list", part(1, Drop(TOO_LONG, "c")))
    listings.note(server, "ns/p", "tools/list", part(6, Drop(FOREIGN, "a")))

    found = listings.of(server)
    assert found is not None
    assert found.shown == {"tools/list": 6, "prompts/list": 1}
    assert found.drops == {"Foreign": 1, "TooLong": 1}
    assert listings.of(Server()) is None


def test_drops_are_logged_with_names_that_are_safe_and_once_while_they_stay(caplog: pytest.LogCaptureFixture) -> None:
    listings, server = ServerListings(), Server()
    dropped = part(0, Drop(FOREIGN, "crm_\nx"), *[Drop(TOO_LONG, "y" * 128)] * 9)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            listings.note(server, "ns/p", "tools/list", dropped)

    (record,) = caplog.records
    assert "'crm_\\nx' (Foreign)" in record.getMessage()
    assert record.getMessage().endswith("and 5 more")
    assert "y" * 65 not in record.getMessage()


def test_a_server_that_is_gone_is_forgotten() -> None:
    listings, server = ServerListings(), Server()
    listings.note(server, "ns/p", "tools/list", part(1))
    del server
    gc.collect()
    assert len(listings._of) == 0
