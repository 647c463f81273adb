"""All that every library logs, with tracebacks, for tests of what must not be written."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def captured_log() -> Iterator[io.StringIO]:
    """Log everything from DEBUG on into a text for the block."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    loggers = logging.getLogger(), logging.getLogger("ostiary_gateway")
    before = [each.level for each in loggers]
    loggers[0].addHandler(handler)
    for each in loggers:
        each.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        loggers[0].removeHandler(handler)
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
