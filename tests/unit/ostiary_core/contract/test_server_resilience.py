"""Where a server is reached, and what happens when it fails, as parts of an entry."""

from typing import Any

import pytest
from pydantic import ValidationError

from ostiary_core.contract.documents import ServerConfig

SERVER: dict[str, Any] = {"name": "s", "url": "http://s", "timeouts": {"connect": 1, "request": 2, "idle": 3}}
DISCOVERY: dict[str, Any] = {"namespace": "crm", "service": "s", "port": 80, "portName": "", "managed": True}
PASSIVE = {"consecutiveGatewayErrors": 5, "baseEjectionTime": 30_000, "maxEjectionPercent": 50}
ACTIVE = {"interval": 10_000, "timeout": 1_000, "unhealthyThreshold": 3}
RETRY: dict[str, Any] = {
    "attempts": 1,
    "backoff": 25,
    "budget": {"percent": 20, "interval": 10_000},
    "tools": {"hints": ["readOnlyHint"], "names": ["get_*"]},
}
BREAKER = {"errorPercent": 50, "minimumRequests": 20, "interval": 10_000, "openFor": 30_000}


def test_a_server_at_one_place_is_the_same_document_as_before() -> None:
    server = ServerConfig.model_validate(SERVER)

    assert server.canonical() == (
        b'{"addresses":[],"name":"s","timeouts":{"connect":1,"idle":3,"request":2},"url":"http://s"}'
    )


@pytest.mark.parametrize(
    "member",
    [
        {"endpoints": [{"address": "10.0.0.7", "port": 8080, "zone": "a"}, {"address": "crm.internal", "port": 1}]},
        {"discovery": DISCOVERY},
        {"discovery": DISCOVERY, "loadBalancer": "RoundRobin"},
        {"healthCheck": {"passive": PASSIVE, "active": ACTIVE}},
        {"retry": RETRY},
        {"retry": {"attempts": 0, "backoff": 0}},
        {"circuitBreaker": BREAKER},
    ],
)
def test_each_member_is_read_as_it_was_written(member: dict[str, Any]) -> None:
    server = ServerConfig.model_validate(SERVER | member)

    assert ServerConfig.model_validate_json(server.canonical()) == server


@pytest.mark.parametrize(
    "member",
    [
        {"endpoints": []},
        {"endpoints": [{"address": "10.0.0.7", "port": 8080}] * 65},
        {"endpoints": [{"address": "10.0.0.7", "port": 65536}]},
        {"endpoints": [{"address": "10.0.0.7", "port": 8080}], "discovery": DISCOVERY},
        {"loadBalancer": "Random"},
        {"healthCheck": {"passive": PASSIVE | {"maxEjectionPercent": 101}}},
        {"retry": RETRY | {"attempts": 11}},
        {"retry": RETRY | {"tools": {"hints": ["destructiveHint"]}}},
        {"circuitBreaker": BREAKER | {"errorPercent": 0}},
    ],
)
def test_a_member_that_no_gateway_can_follow_is_refused(member: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServerConfig.model_validate(SERVER | member)
