"""The log format of server processes: text lines, or JSON objects."""

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_PLAIN: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add `--log-format`."""
    parser.add_argument(
        "--log-format",
        choices=("plain", "json"),
        default="plain",
        help="lines for people, or one JSON object per line (default: plain)",
    )


def configure(log_format: str) -> None:
    """Send log records to stderr; later calls of ``logging.basicConfig`` have no effect."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter() if log_format == "json" else logging.Formatter(_PLAIN))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class JSONFormatter(logging.Formatter):
    """Formats a record as JSON; ``time`` is UTC in ISO 8601."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)
