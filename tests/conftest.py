"""What holds for every test.

How much Hypothesis tries: `make test` judges every change by the same examples, `make fuzz` looks for new ones. And
that Ctrl-C reaches what a test starts: a run in the background (`nohup make test &`) begins with these signals ignored,
its children would inherit that, and `ostiary run` respects it. And that no test depends on whether `make` started it:
`ostiary run` then names a `make` command to type. And that every console takes a free port. And which HTTP server the
gateways of the tests have. And that no connection outlives its event loop.
"""

import asyncio
import os
import signal

import http_listener
import pytest
from closing_loops import close_with_connections
from hypothesis import HealthCheck, settings

for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)  # a handler is not inherited: children begin with the default

os.environ.pop("MAKELEVEL", None)
os.environ["CONSOLE_PORT"] = "0"

pytest.MonkeyPatch().setattr(asyncio.SelectorEventLoop, "close", close_with_connections)

# No deadlines: several test processes share few cores, and a slow example is no failure.
settings.register_profile("ostiary", deadline=None, derandomize=True)
settings.register_profile(
    "fuzz", deadline=None, max_examples=300, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ostiary")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let all gateways of a run, in this process and others, have another HTTP server than the default."""
    parser.addoption("--http-server", help="the HTTP server of gateways under test, as of `ostiary gateway`")


def pytest_configure(config: pytest.Config) -> None:
    """Set what gateways read when they start, in this process too."""
    if name := config.getoption("--http-server"):
        os.environ["HTTP_SERVER"] = name
        # A conftest.py of the folder that was named may have imported it already.
        http_listener.HTTP_SERVER = name
