from collections.abc import Iterator

import pytest
from mcp_clients import MockProcess, mock_process


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProcess]:
    with mock_process() as running:
        yield running


@pytest.fixture
def fresh_mock() -> Iterator[MockProcess]:
    with mock_process() as running:
        yield running
