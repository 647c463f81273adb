import io
import logging
import re

import pytest

from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_operator.local import call_log
from ostiary_operator.local.call_log import CallRecord
from ostiary_operator.local.console import Console, ConsoleHandler, Style, printable, wants_colour


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_coloured_unless_the_environment_forbids_it() -> None:
    assert wants_colour(Terminal(), {"TERM": "xterm"})
    assert not wants_colour(Terminal(), {"TERM": "dumb"})
    assert not wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not wants_colour(io.StringIO(), {})


def test_an_event_has_a_time_a_word_and_a_text() -> None:
    stream = io.StringIO()
    Console(stream, colour=False).event("live", "all of it", Style.GOOD)
    assert re.fullmatch(r"\d\d:\d\d:\d\d  live        all of it\n", stream.getvalue())


def test_colour_surrounds_words_and_ends_behind_them() -> None:
    stream = io.StringIO()
    Console(stream, colour=True).event("denied", "x", Style.BAD)
    assert "\x1b[31mdenied    \x1b[0m  x\n" in stream.getvalue()


def test_no_text_of_a_client_reaches_the_terminal_as_a_control_sequence() -> None:
    assert printable("a\x1b[2Jb\r\nc\u202ed") == "a�[2Jb��c�d"
    assert printable("x" * 300) == "x" * 199 + "…"


def test_a_closed_pipe_is_no_failure() -> None:
    stream = io.StringIO()
    stream.close()
    Console(stream, colour=False).write("x")


def test_warnings_of_the_gateway_are_shown_and_chatter_is_not() -> None:
    stream = io.StringIO()
    handler = ConsoleHandler(Console(stream, colour=False))
    logger = logging.getLogger("of a test of the console")
    logger.propagate = False
    logger.addHandler(handler)
    logger.info("chatter")
    logger.error("a\nb", exc_info=OSError("gone"))
    assert re.fullmatch(r"\S+  error       a�b \(OSError: gone\)\n", stream.getvalue())


def call(method: str = "tools/call", **more: object) -> CallRecord:
    fields: dict[str, object] = {
        "target": "get_users",
        "proxy": "default/mock",
        "outcome": CallOutcome.OK,
        "seconds": 0.0123,
    }
    return CallRecord(method=method, **(fields | more))  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (call(), "mock                get_users                  12 ms"),
        (call(proxy="sales/crm"), "sales/crm           get_users                  12 ms"),
        (
            call(outcome=CallOutcome.DENIED, policy="default/p", rule="r"),
            "mock                get_users                  12 ms  by rule r of policy default/p",
        ),
        (
            call(outcome=CallOutcome.HIDDEN, policy="default/p"),
            "mock                get_users                  12 ms  no rule of policy default/p allows it",
        ),
        (
            call(outcome=CallOutcome.DENIED, reason="PolicyInvalid"),
            "mock                get_users                  12 ms  PolicyInvalid",
        ),
        (
            call(outcome=CallOutcome.FAILED, detail="-31003: UpstreamUnavailable"),
            "mock                get_users                  12 ms  -31003: UpstreamUnavailable",
        ),
        (
            call("resources/read", target="a://b", outcome=CallOutcome.DENIED, policy="p", rule="r"),
            "mock                resources/read a://b       12 ms  by rule r of policy p",
        ),
        (call(target="\x1b[31m"), "mock                �[31m                      12 ms"),
    ],
)
def test_a_call_is_a_line(given: CallRecord, told: str) -> None:
    assert call_log.line(given) == told


def test_tool_calls_and_refusals_are_shown_by_default_and_handshakes_are_not() -> None:
    assert call().is_shown_by_default
    assert call("prompts/get", outcome=CallOutcome.DENIED).is_shown_by_default
    assert not call("tools/list", target="").is_shown_by_default
    assert not call("", proxy="", target="", outcome=CallOutcome.FAILED).is_shown_by_default
