"""Operations of a REST service, as parts of an entry."""

from typing import Any

import pytest
from pydantic import ValidationError

from ostiary_core.contract.documents import ServerConfig

SERVER: dict[str, Any] = {"name": "s", "url": "http://s", "timeouts": {"connect": 1, "request": 2, "idle": 3}}
OPERATION: dict[str, Any] = {
    "name": "get_order",
    "tool": '{"name":"get_order"}',
    "evaluations": 1,
    "method": "GET",
    "path": "/orders/{id}",
    "parameters": [{"argument": "id", "name": "id", "place": "path", "style": "simple", "explode": False}],
}
SERVICE: dict[str, Any] = {"title": "Orders", "version": "1", "definitions": {"Order": "{}"}, "operations": [OPERATION]}


def test_operations_are_read_as_they_were_written() -> None:
    body = {"mediaType": "application/json", "format": "json"}
    more = OPERATION | {"method": "POST", "definitions": ["Order"], "body": body, "answersHtml": True}
    server = ServerConfig.model_validate(SERVER | {"openapi": SERVICE | {"operations": [OPERATION, more]}})

    assert ServerConfig.model_validate_json(server.canonical()) == server


def test_a_server_that_speaks_mcp_is_the_same_document_as_before() -> None:
    assert b"openapi" not in ServerConfig.model_validate(SERVER).canonical()


@pytest.mark.parametrize(
    "member",
    [
        {"operations": [OPERATION] * 257},
        {"operations": [OPERATION | {"method": "TRACE"}]},
        {"operations": [OPERATION | {"evaluations": 0}]},
        {"operations": [OPERATION | {"parameters": [OPERATION["parameters"][0] | {"place": "cookie"}]}]},
        {"operations": [OPERATION | {"parameters": OPERATION["parameters"] * 65}]},
        {"operations": [OPERATION | {"body": {"mediaType": "application/json", "format": "multipart"}}]},
    ],
)
def test_an_operation_that_no_gateway_can_carry_out_is_refused(member: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServerConfig.model_validate(SERVER | {"openapi": SERVICE | member})
