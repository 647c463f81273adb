"""What tests of evidence need: replicas that answer what a test says, and a session to ask them."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from evidence_replicas import StartReplica, evidence_replicas

from ostiary_operator.view import admin_client


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with admin_client.session() as session:
        yield session


@pytest.fixture
async def start() -> AsyncIterator[StartReplica]:
    async with evidence_replicas() as started:
        yield started
