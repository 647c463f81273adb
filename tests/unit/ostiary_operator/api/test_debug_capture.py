"""The end of a debug capture is a moment, whatever the offset that it is written with."""

import pytest

from ostiary_operator.api.debug_capture import CapturedContents, DebugCapture, milliseconds_of


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("2026-11-29T18:00:00Z", 1_795_975_200_000),
        ("2026-11-29T19:00:00+01:00", 1_795_975_200_000),
        ("2026-11-29T18:00:00.25Z", 1_795_975_200_250),
    ],
)
def test_a_moment_is_a_number_of_milliseconds(text: str, milliseconds: int) -> None:
    assert milliseconds_of(text) == milliseconds


def test_contents_are_redacted_unless_they_are_not_wanted_at_all() -> None:
    assert DebugCapture(until="2026-11-29T18:00:00Z").contents is CapturedContents.REDACTED
