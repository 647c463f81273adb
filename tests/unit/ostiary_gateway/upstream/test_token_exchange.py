"""Exchanged tokens: how long one is used, and how many are remembered."""

import asyncio
from typing import Any

import pytest

from ostiary_core.contract.upstream_credentials import TokenExchangeConfig
from ostiary_core.policy.principal import Principal
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import token_exchange as module
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable
from ostiary_gateway.upstream.token_exchange import ExchangedTokens

NOW = 1_800_000_000.0
CONFIG = TokenExchangeConfig(
    token_endpoint="https://auth.example.com/token",
    client_id="a",
    secret="s",
    subject_token_type="urn:ietf:params:oauth:token-type:access_token",
)


class Endpoint(DocumentClient):
    """A token endpoint that numbers its tokens, or is down."""

    def __init__(self) -> None:
        self.lifetime = 3600.0
        self.calls = 0
        self.down = False
        self.closed = False

    async def post(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.calls += 1
        if self.down:
            raise DocumentUnavailable("it is down")
        return {"access_token": f"token-{self.calls}", "expires_in": self.lifetime}

    def close(self) -> None:
        self.closed = True


class Scene:
    def __init__(self) -> None:
        self.now = 0.0
        self.endpoint = Endpoint()
        self.tokens = ExchangedTokens(
            CONFIG,
            SecretBytes(b"x"),
            self.endpoint,
            clock=lambda: self.now,
            wall_clock=lambda: NOW + self.now,
        )

    async def token(self, of: UpstreamCaller) -> str:
        found = (await self.tokens.line(of)).decode().strip().removeprefix("Authorization: Bearer ")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return found


@pytest.fixture
def scene() -> Scene:
    return Scene()


def caller(identity: str = "ada", sent: str = "one", **more: Any) -> UpstreamCaller:
    return UpstreamCaller(Principal(id=identity, method="jwt", **more), token=SecretBytes(sent.encode()))


async def test_a_result_never_outlives_the_token_that_it_was_made_for(scene: Scene) -> None:
    ada = caller(expires_at=NOW + 130, claims={"exp": NOW + 100})
    assert await scene.token(ada) == "token-1"
    scene.now = 74
    assert await scene.token(ada) == "token-1"
    scene.now, scene.endpoint.down = 99, True
    assert await scene.token(ada) == "token-1"
    scene.now = 100
    with pytest.raises(UpstreamFault, match="clock skew") as caught:
        await scene.token(ada)
    assert caught.value.kind == "UpstreamCallerTokenRequired"


async def test_a_result_is_replaced_early_while_the_old_one_is_in_use(scene: Scene) -> None:
    scene.endpoint.lifetime = 100
    ada = caller()
    assert await scene.token(ada) == "token-1"
    scene.now = 80
    assert [await scene.token(ada) for _ in range(2)] == ["token-1", "token-2"]


async def test_while_the_endpoint_is_down_a_result_is_used_to_its_end(scene: Scene) -> None:
    scene.endpoint.lifetime = 100
    ada = caller()
    await scene.token(ada)
    scene.now, scene.endpoint.down = 80, True
    assert [await scene.token(ada) for _ in range(3)] == ["token-1"] * 3
    assert scene.endpoint.calls == 2
    scene.now = 96
    with pytest.raises(UpstreamFault, match="it is down"):
        await scene.token(ada)


async def test_failures_of_a_caller_grow_its_wait_whichever_token_it_sends(scene: Scene) -> None:
    scene.endpoint.down = True
    for now in range(60):
        scene.now = float(now)
        with pytest.raises(UpstreamFault):
            await scene.token(caller(sent=f"token-{now}"))
    assert scene.endpoint.calls <= 6


async def test_many_tokens_of_one_caller_at_the_same_time_are_exchanged_one_by_one_until_one_fails(
    scene: Scene,
) -> None:
    scene.endpoint.down = True
    calls = [scene.token(caller(sent=f"token-{number}")) for number in range(100)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, UpstreamFault) for each in found)
    assert scene.endpoint.calls == 1
    scene.now, scene.endpoint.down = 1.3, False
    assert await scene.token(caller()) == "token-2", "they count as one failure"


async def test_the_same_token_of_two_principals_is_two_exchanges(scene: Scene) -> None:
    assert await scene.token(caller("ada")) == "token-1"
    assert await scene.token(caller("bob")) == "token-2"


async def test_callers_without_number_take_no_memory_without_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    for number in range(100):
        await scene.token(caller(str(number)))
        assert len(list(scene.tokens.values())) <= 10
    assert await scene.token(caller("99")) == "token-100", "the newest are remembered"
    assert await scene.token(caller("0")) == "token-101"


async def test_closing_ends_exchanges_and_connections(scene: Scene) -> None:
    await scene.token(caller())
    scene.tokens.close()
    assert scene.endpoint.closed
