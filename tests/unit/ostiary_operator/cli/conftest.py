import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from command_line import CommandResult, Ostiary, ostiary_command
from evidence_replicas import TOKEN, AskReplicas, StartReplica, evidence_replicas


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


@pytest.fixture
async def start() -> AsyncIterator[StartReplica]:
    async with evidence_replicas() as started:
        yield started


@pytest.fixture
def ask_replicas(ostiary: Ostiary, tmp_path: Path) -> AskReplicas:
    """Call a command with the admin ports of replicas, and the token for them."""
    token = tmp_path / "token"
    token.write_bytes(TOKEN)

    async def call(*arguments: str, admin: tuple[str, ...]) -> CommandResult:
        ports = [word for url in admin for word in ("--admin", url)]
        return await asyncio.to_thread(ostiary, *arguments, *ports, "--token-file", str(token))

    return call
