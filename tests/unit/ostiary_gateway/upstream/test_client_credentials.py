"""Access tokens of the gateway: how long one is used, and when the next one is fetched."""

import asyncio
from typing import Any

import pytest

from ostiary_core.contract.upstream_credentials import ClientCredentialsConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.client_credentials import ClientAccessTokens
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable

CONFIG = ClientCredentialsConfig(token_endpoint="https://auth.example.com/token", client_id="a", secret="s")


class Endpoint(DocumentClient):
    """A token endpoint whose responses the test sets."""

    def __init__(self) -> None:
        self.response: dict[str, Any] | None = {"access_token": "one", "expires_in": 100}
        self.calls = 0

    async def post(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.calls += 1
        if self.response is None:
            raise DocumentUnavailable("it is down")
        return self.response


class Scene:
    def __init__(self) -> None:
        self.now = 0.0
        self.endpoint = Endpoint()
        self.tokens = ClientAccessTokens(CONFIG, SecretBytes(b"x"), self.endpoint, clock=lambda: self.now)

    async def line(self) -> str:
        found = (await self.tokens.line()).decode().strip()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return found


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_token_is_replaced_before_it_ends_while_the_old_one_is_in_use(scene: Scene) -> None:
    assert await scene.line() == "Authorization: Bearer one"
    scene.now, scene.endpoint.response = 80.0, {"access_token": "two", "expires_in": "100"}
    assert await scene.line() == "Authorization: Bearer one"
    assert await scene.line() == "Authorization: Bearer two"
    assert scene.endpoint.calls == 2


async def test_while_the_endpoint_is_down_a_token_is_used_to_its_end_and_never_beyond(scene: Scene) -> None:
    await scene.line()
    scene.now, scene.endpoint.response = 80.0, None
    assert [await scene.line() for _ in range(3)] == ["Authorization: Bearer one"] * 3
    assert scene.endpoint.calls == 2
    scene.now = 96.0
    with pytest.raises(UpstreamFault, match="it is down"):
        await scene.line()


async def test_failures_grow_the_wait_to_the_next_try(scene: Scene) -> None:
    scene.endpoint.response = None
    for now in range(60):
        scene.now = float(now)
        with pytest.raises(UpstreamFault):
            await scene.line()
    assert scene.endpoint.calls <= 6


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "a", "token_type": "mac"},
        {"access_token": "a\r\nX-Injected: yes"},
        {"access_token": "ä"},
    ],
)
async def test_a_response_without_a_token_that_can_be_sent_is_a_failure(scene: Scene, response: dict[str, Any]) -> None:
    scene.endpoint.response = response
    with pytest.raises(UpstreamFault, match="token") as caught:
        await scene.line()
    assert caught.value.kind == "UpstreamCredentialUnavailable"


@pytest.mark.parametrize("lifetime", [None, True, -1, 0, "soon", [], float("inf"), 10**30])
async def test_a_lifetime_that_means_nothing_gets_a_usual_one(scene: Scene, lifetime: Any) -> None:
    scene.endpoint.response = {"access_token": "one", "expires_in": lifetime}
    await scene.line()
    scene.now = 100.0
    await scene.line()
    assert scene.endpoint.calls == 1
