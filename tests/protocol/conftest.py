"""The mock server, once a module, and a gateway in each test's own loop."""

from collections.abc import AsyncIterator, Iterator

import pytest
from gateways import Door, running
from mcp_clients import mock_process


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with mock_process() as process:
        yield process.url


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with running() as door:
        yield door
