"""A gateway that records into a file, and what it has recorded."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateways import RunningGateway, running_gateway

from ostiary_core.audit.chain import is_intact, link_of
from ostiary_gateway.options import AuditOptions


@asynccontextmanager
async def audited(path: Path, **options: Any) -> AsyncIterator[RunningGateway]:
    """A gateway that records into a file."""
    async with running_gateway(audit=AuditOptions(file=path), **options) as gateway:
        gateway.credentials["audit-0"] = b"a" * 32
        yield gateway


def records(path: Path, **wanted: Any) -> list[dict[str, Any]]:
    """The records that have these members."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    for line in lines:
        link = link_of(line)
        assert link is not None
        assert is_intact(line, link)
    found = [json.loads(line) for line in lines]
    return [record for record in found if all(record.get(key) == value for key, value in wanted.items())]
