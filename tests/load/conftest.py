"""A gateway in each test's own loop."""

from collections.abc import AsyncIterator

import pytest
from gateways import Door, running


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with running() as door:
        yield door
