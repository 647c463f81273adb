"""A gateway in each test's own loop."""

from collections.abc import AsyncIterator

import pytest
from gateways import RunningGateway, running


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running() as gateway:
        yield gateway
