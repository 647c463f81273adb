"""Times of a query of audit records."""

from datetime import UTC, datetime

import pytest

from ostiary_core.errors import AuditTrailError
from ostiary_operator.local.audit_query import parse_moment

NOW = datetime(2026, 11, 29, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", "2026-11-29T15:00:00.000000Z"),
        ("1d", "2026-11-28T17:00:00.000000Z"),
        ("90s", "2026-11-29T16:58:30.000000Z"),
        ("2026-11-29", "2026-11-29T00:00:00.000000Z"),
        ("2026-11-29T17:00:00.5+01:00", "2026-11-29T16:00:00.500000Z"),
    ],
)
def test_a_time_is_written_as_records_have_it(text: str, moment: str) -> None:
    assert parse_moment(text, now=lambda: NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2w", "-1h", "999999d", "2026-13-01"])
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(AuditTrailError, match="is no time"):
        parse_moment(text, now=lambda: NOW)
