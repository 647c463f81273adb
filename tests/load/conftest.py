"""A gateway in each test's own loop."""

from collections.abc import AsyncIterator

import pytest
from gateways import RunningGateway, running_gateway


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway
