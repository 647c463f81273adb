"""The log of a worker, in the supervisor's format. Each line names the worker."""

import logging
import pickle
import sys
from typing import Final

_PLAIN: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _WorkerName(logging.Filter):
    """Names the worker in the message of each record, and as ``worker`` for JSON."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self._index = index

    def filter(self, record: logging.LogRecord) -> bool:
        record.worker = self._index
        record.msg, record.args = f"worker {self._index}: {record.getMessage()}", None
        return True


def formatter_in_use() -> logging.Formatter | None:
    """Return how this process formats its log lines; None where no worker can do the same."""
    found = next((each.formatter for each in logging.getLogger().handlers if each.formatter is not None), None)
    try:
        pickle.dumps(found)
    except (TypeError, AttributeError, pickle.PicklingError):
        return None  # one that holds a file, such as a terminal
    return found


def configure_log(index: int, formatter: logging.Formatter | None) -> None:
    """Send log records of a worker to stderr, in the format of the supervisor."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter or logging.Formatter(_PLAIN))
    handler.addFilter(_WorkerName(index))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
