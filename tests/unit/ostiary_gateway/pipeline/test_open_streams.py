"""Open streams are judged again in slices: none blocks the loop for long, and none sends before it is judged."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mcp_caller import modern, modern_headers
from mcp_clients import eventually
from multidict import CIMultiDict
from visibilities import visibility_by_rules

from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.identity import introspection
from ostiary_gateway.pipeline import open_stream, open_streams
from ostiary_gateway.pipeline.decode import decode
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.open_stream import OpenStream
from ostiary_gateway.pipeline.open_streams import OpenStreams

ALLOW = visibility_by_rules({"name": "docs", "effect": "Allow", "resources": {"names": ["doc://*"]}})
REFUSE = visibility_by_rules({"name": "none", "effect": "Deny", "resources": {}})


def proxy(visibility: Any) -> Any:
    return SimpleNamespace(
        identity="default/mock",
        uid="u",
        servers=("s",),
        names=None,
        visibility=visibility,
        authenticator=None,
        limits=None,
    )


def listening(uris: int) -> OpenStream:
    wanted = {"notifications": {"resourceSubscriptions": [f"doc://{index}" for index in range(uris)]}}
    body = modern("subscriptions/listen", wanted)
    message = decode(body, CIMultiDict(modern_headers(body)), lambda: None)
    runtime, nothing = proxy(ALLOW), cast("Any", None)
    exchange = Exchange(request=nothing, snapshot=nothing, proxy=runtime, message=message, request_id=1)
    answer = SimpleNamespace(close=lambda: None)
    return OpenStream(runtime, exchange, cast("Any", answer))


def config(visibility: Any) -> Snapshot:
    return cast("Snapshot", SimpleNamespace(proxies={"default/mock": proxy(visibility)}, blocked=None, settings=None))


def swap(all_of_them: OpenStreams, visibility: Any) -> None:
    all_of_them.on_swap(config(visibility), frozenset({"default/mock"}))


def opened(number: int) -> tuple[OpenStreams, list[OpenStream]]:
    all_of_them, found = OpenStreams(), [listening(2) for _ in range(number)]
    for stream in found:
        all_of_them.opened(stream, None)
        stream.ended = False
    return all_of_them, found


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream takes longer to judge than a slice may."""
    now = iter(range(1_000_000))
    monkeypatch.setattr(open_streams, "monotonic", lambda: next(now))


async def test_other_tasks_run_between_slices(slow_clock: None) -> None:
    all_of_them, found = opened(20)
    settled: list[int] = []
    swap(all_of_them, REFUSE)

    while any(stream.unsettled for stream in found):
        settled.append(sum(not stream.unsettled for stream in found))
        await asyncio.sleep(0)

    assert settled == list(range(20))
    assert all(stream.ended for stream in found)


async def test_what_a_further_swap_brings_while_streams_are_judged_is_judged_too(slow_clock: None) -> None:
    all_of_them, found = opened(5)
    swap(all_of_them, ALLOW)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    swap(all_of_them, REFUSE)

    await eventually(lambda: all(stream.ended for stream in found))
    await eventually(lambda: all_of_them._settling is None)


async def test_a_stream_has_the_new_policy_at_once_and_is_judged_before_its_next_event(slow_clock: None) -> None:
    all_of_them, found = opened(2)
    swap(all_of_them, REFUSE)

    assert all(stream.proxy.visibility is REFUSE and not stream.ended for stream in found)
    found[1].settle()
    assert found[1].ended


async def test_a_stream_of_a_removed_proxy_ends_at_once() -> None:
    all_of_them, found = opened(1)
    gone = cast("Snapshot", SimpleNamespace(proxies={}, blocked=None, settings=None))
    all_of_them.on_swap(gone, frozenset({"default/mock"}))

    assert found[0].ended


class Provider:
    """An authenticator whose identity provider responds when the test lets it."""

    def __init__(self, principal: Principal | None, *, hangs: bool = False) -> None:
        self.asked = 0
        self.responds = asyncio.Event()
        self._principal = principal
        if not hangs:
            self.responds.set()

    def refuse(self) -> None:
        """Refuse the caller from now on."""
        self._principal = None

    async def authenticate(self, _request: object, _settings: object) -> Principal:
        self.asked += 1
        await self.responds.wait()
        if self._principal is None:
            raise Refusal(401, "CredentialInvalid", "no")
        return self._principal


def swap_authentication(all_of_them: OpenStreams, streams: list[OpenStream], providers: list[Provider]) -> None:
    """Give each stream a proxy of its own, with this provider."""
    proxies = {}
    for number, (stream, provider) in enumerate(zip(streams, providers, strict=True)):
        runtime = proxy(ALLOW)
        runtime.identity = f"default/{number}"
        stream.proxy = stream.exchange.proxy = runtime
        proxies[runtime.identity] = SimpleNamespace(**(vars(runtime) | {"authenticator": provider}))
    snapshot = cast("Snapshot", SimpleNamespace(proxies=proxies, blocked=None, settings=None))
    all_of_them.on_swap(snapshot, frozenset(proxies))


async def test_a_provider_that_hangs_delays_no_other_stream() -> None:
    all_of_them, found = opened(203)
    hanging, refusing = [Provider(ANONYMOUS, hangs=True) for _ in range(200)], [Provider(None) for _ in range(3)]
    swap_authentication(all_of_them, found, [*hanging, *refusing])

    await eventually(lambda: all(stream.ended for stream in found[200:]))
    assert not any(stream.ended for stream in found[:200])
    for provider in hanging:
        provider.responds.set()
    await eventually(lambda: not any(stream.unauthenticated or stream.unsettled for stream in found[:200]))
    assert not any(stream.ended for stream in found[:200])
    assert {provider.asked for provider in hanging} == {1}


class BusyProvider(Provider):
    """An authenticator that counts how many callers wait at the same time."""

    def __init__(self) -> None:
        super().__init__(ANONYMOUS)
        self.waiting = self.most = 0

    async def authenticate(self, request: object, settings: object) -> Principal:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        for _ in range(50):
            await asyncio.sleep(0)
        principal = await super().authenticate(request, settings)
        self.waiting -= 1
        return principal


async def test_many_streams_of_one_proxy_do_not_wait_for_its_identity_provider_all_at_once() -> None:
    all_of_them, found = opened(200)
    busy = BusyProvider()
    runtime = SimpleNamespace(**(vars(found[0].proxy) | {"authenticator": busy}))
    snapshot = cast("Snapshot", SimpleNamespace(proxies={"default/mock": runtime}, blocked=None, settings=None))
    all_of_them.on_swap(snapshot, frozenset({"default/mock"}))

    await eventually(lambda: busy.asked == 200 and not any(stream.unauthenticated for stream in found))
    assert busy.most < introspection.MOST_WAITING // 4
    assert not any(stream.ended for stream in found)


async def test_a_stream_whose_caller_cannot_be_authenticated_in_time_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_stream, "_AUTHENTICATION_SECONDS", 0.01)
    all_of_them, found = opened(1)
    swap_authentication(all_of_them, found, [Provider(ANONYMOUS, hangs=True)])

    await eventually(lambda: found[0].ended)


async def test_a_stream_that_closes_stops_its_authentication() -> None:
    all_of_them, found = opened(1)
    provider = Provider(ANONYMOUS, hangs=True)
    swap_authentication(all_of_them, found, [provider])
    await eventually(lambda: provider.asked == 1)
    task = found[0].authentication
    assert task is not None
    all_of_them.closed(found[0])
    await eventually(task.cancelled)


async def test_a_stream_gets_the_newest_policy_when_it_changes_while_its_caller_is_authenticated() -> None:
    all_of_them, found = opened(1)
    first, second = Provider(ANONYMOUS, hangs=True), Provider(None)
    swap_authentication(all_of_them, found, [first])
    await eventually(lambda: first.asked == 1)
    newer = SimpleNamespace(**(vars(found[0].proxy) | {"authenticator": second}))
    snapshot = cast("Snapshot", SimpleNamespace(proxies={"default/0": newer}, blocked=None, settings=None))
    all_of_them.on_swap(snapshot, frozenset({"default/0"}))
    assert not found[0].ended
    first.responds.set()
    await eventually(lambda: found[0].ended)
    assert second.asked == 1


def with_caller(method: str) -> tuple[OpenStreams, OpenStream, Provider]:
    """An open stream of a caller that was authenticated by this method."""
    stream, all_of_them = listening(1), OpenStreams()
    principal = Principal(id="ada", method=method)
    provider = Provider(principal)
    stream.exchange.principal = principal
    cast("Any", stream.proxy).authenticator = provider
    current = SimpleNamespace(proxies={"default/mock": stream.proxy}, blocked=None, settings=None)
    all_of_them.opened(stream, cast("Snapshot", current))
    return all_of_them, stream, provider


async def test_a_stream_is_closed_once_the_opaque_token_of_its_caller_is_revoked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_streams, "_REVOCATION_CHECK_SECONDS", 0.001)
    all_of_them, stream, provider = with_caller("introspection")
    await eventually(lambda: provider.asked >= 2)
    assert not stream.ended

    provider.refuse()

    await eventually(lambda: stream.ended)
    all_of_them.closed(stream)
    assert stream.revocation_check is not None
    assert stream.revocation_check.cancelled()


@pytest.mark.parametrize("method", ["jwt", "apiKey", "anonymous"])
async def test_a_caller_whose_credential_cannot_be_revoked_elsewhere_is_not_authenticated_again(method: str) -> None:
    all_of_them, stream, _ = with_caller(method)
    assert stream.revocation_check is None
    all_of_them.closed(stream)
