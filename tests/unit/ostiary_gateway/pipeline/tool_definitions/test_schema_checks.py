"""Compiled schemas of servers, and how much of the gateway's time they may take."""

import json
from typing import Any

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.json_schema.compiled_schema import SchemaVerdict
from ostiary_gateway.pipeline.tool_definitions.schema_checks import SchemaChecks
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.server import UpstreamServer


def server() -> UpstreamServer:
    timeouts = {"connect": 1, "request": 1, "idle": 1}
    document = ServerConfig.model_validate({"name": "crm", "url": "http://crm.example/mcp", "timeouts": timeouts})
    return UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="a/b", mark="m")


def text(schema: Any) -> bytes:
    return json.dumps(schema).encode()


def bomb(number: int) -> bytes:
    """Each is another schema, and refused for its price."""
    definitions: dict[str, Any] = {
        f"d{level}": {"anyOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(15)
    }
    return text({"$defs": {**definitions, "d15": {"const": number}}, "$ref": "#/$defs/d0"})


async def test_a_schema_is_compiled_once_for_all_that_have_its_text() -> None:
    checks, crm = SchemaChecks(), server()
    first = await checks.check_of(crm, text({"type": "integer"}))

    assert first is not None
    assert first.compiled.verdict("x") is SchemaVerdict.INVALID
    assert await checks.check_of(server(), text({"type": "integer"})) is first


async def test_a_large_schema_is_compiled_in_a_thread() -> None:
    large = {"properties": {f"p{number}": {"type": "string"} for number in range(600)}}

    check = await SchemaChecks().check_of(server(), text(large))
    assert check is not None
    assert check.compiled.verdict({"p1": 5}) is SchemaVerdict.INVALID


async def test_what_cannot_be_checked_is_remembered_as_such() -> None:
    checks, crm = SchemaChecks(), server()

    assert await checks.check_of(crm, None) is None
    assert await checks.check_of(crm, b"") is None
    assert len(checks) == 0
    assert await checks.check_of(crm, text([])) is None
    assert await checks.check_of(crm, bomb(1)) is None
    assert len(checks) == 2


async def test_a_server_whose_schemas_change_all_the_time_is_cut_off_and_no_other_is() -> None:
    now = 0.0
    checks, crm = SchemaChecks(clock=lambda: now), server()
    for number in range(100):
        await checks.check_of(crm, bomb(number))

    assert len(checks) < 30
    assert await checks.check_of(crm, text({"type": "integer"})) is None
    assert await checks.check_of(server(), text({"type": "integer"})) is not None

    now = 3600.0
    assert await checks.check_of(crm, text({"type": "string"})) is not None


async def test_two_schemas_that_alternate_are_compiled_once_each() -> None:
    now = 0.0
    checks, crm = SchemaChecks(clock=lambda: now), server()
    for number in range(1000):
        assert await checks.check_of(crm, text({"minimum": number % 2})) is not None

    assert len(checks) == 2


async def test_compiled_schemas_take_a_bounded_room() -> None:
    now = 0.0

    def clock() -> float:
        return now

    checks, crm = SchemaChecks(limit=1 << 20, clock=clock), server()
    for number in range(200):
        now += 1
        await checks.check_of(crm, text({"minimum": number}))

    assert len(checks) < 40
    assert await checks.check_of(crm, text({"minimum": 199})) is not None
