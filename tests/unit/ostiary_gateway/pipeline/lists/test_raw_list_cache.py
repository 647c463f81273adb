"""A raw list is fetched once for all callers that the server cannot tell apart, and never shown to others."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.lists.fetched_list import CacheHints, FetchedList, hints_of
from ostiary_gateway.pipeline.lists.kept_lists import KeptLists, RawListRequest
from ostiary_gateway.pipeline.lists.raw_list_cache import RETRY_SECONDS, RawListCache
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.server import UpstreamServer

CONFIG = ListCacheConfig(ttl=60_000, stale_if_error=600_000)
TOOLS = "tools/list"
PRIVATE = CacheHints(is_private=True)


@dataclass(frozen=True)
class Names:
    names: str
    size: int = 100


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Lists:
    """A server whose list can be changed, with the cache before it."""

    def __init__(self, *, limit: int = 1 << 20, each: int = 1 << 20) -> None:
        self.clock = Clock()
        self.kept = KeptLists(limit=limit, each=each)
        self.cache = RawListCache(self.kept, clock=self.clock)
        self.server = server()
        self.names = "a"
        self.hints = CacheHints()
        self.size = 100
        self.asked = 0
        self.fault: UpstreamFault | None = None
        self.config = CONFIG

    async def fetch(self) -> FetchedList[Names]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return FetchedList(Names(self.names, self.size), self.hints)

    async def get(self, principal: str = "p", *, method: str = TOOLS, context: str | None = None) -> str:
        request = RawListRequest(method, "2025-11-25", context, principal)
        copy = await self.cache.get(self.server, request, self.config, self.fetch)
        names: str = copy.value.names
        return names

    def fails(self, kind: str = faults.UNREACHABLE) -> None:
        self.fault = UpstreamFault(kind, "it is down")


def server(name: str = "crm") -> UpstreamServer:
    timeouts = {"connect": 1, "request": 1, "idle": 1}
    document = ServerConfig.model_validate({"name": name, "url": "http://crm.example/mcp", "timeouts": timeouts})
    return UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="a/b", mark="m")


async def test_a_list_is_fetched_once_until_it_is_old() -> None:
    lists = Lists()
    assert [await lists.get(), await lists.get("other")] == ["a", "a"]
    assert lists.asked == 1
    lists.clock.now += 61
    lists.names = "b"
    assert await lists.get() == "b"
    assert lists.asked == 2


async def test_the_time_that_the_server_says_counts_up_to_an_hour() -> None:
    lists = Lists()
    lists.hints = CacheHints(ttl_ms=5_000)
    await lists.get()
    lists.clock.now += 6
    lists.hints = hints_of({"ttlMs": 10**15}, "2025-11-25")
    await lists.get()
    assert lists.asked == 2
    lists.clock.now += 3_599
    await lists.get()
    assert lists.asked == 2
    lists.clock.now += 2
    await lists.get()
    assert lists.asked == 3


async def test_a_list_that_may_not_be_kept_is_fetched_each_time() -> None:
    lists = Lists()
    lists.hints = CacheHints(ttl_ms=0)
    await lists.get()
    await lists.get()
    assert lists.asked == 2


async def test_a_private_list_is_shown_to_its_caller_only() -> None:
    lists = Lists()
    lists.hints = PRIVATE
    assert await lists.get("one") == "a"
    lists.names = "b"
    assert await lists.get("two") == "b"
    assert [await lists.get("one"), await lists.get("two")] == ["a", "b"]
    assert lists.asked == 2


async def test_callers_that_the_server_can_tell_apart_share_nothing_although_it_says_public() -> None:
    lists = Lists()
    assert await lists.get(context="credential of one") == "a"
    lists.names = "b"
    assert await lists.get(context="credential of two") == "b"
    assert await lists.get(context="credential of one") == "a"


async def test_methods_revisions_and_pages_are_lists_of_their_own() -> None:
    lists = Lists()
    one = RawListRequest(TOOLS, "2025-11-25")
    for request in (one, one._replace(method="prompts/list"), one._replace(revision="x"), one._replace(cursor="2")):
        await lists.cache.get(lists.server, request, CONFIG, lists.fetch)
    assert lists.asked == 4


async def gathered(lists: Lists, *principals: str, fetch: Callable[[], Awaitable[FetchedList[Names]]]) -> list[object]:
    calls = [
        lists.cache.get(lists.server, RawListRequest(TOOLS, "r", None, each), CONFIG, fetch) for each in principals
    ]
    found: list[object] = list(await asyncio.gather(*calls, return_exceptions=True))
    return found


async def test_those_that_ask_at_once_wait_for_one_request() -> None:
    lists = Lists()

    async def slowly() -> FetchedList[Names]:
        await asyncio.sleep(0)
        return await lists.fetch()

    found = await gathered(lists, "one", "two", "three", fetch=slowly)
    assert len({id(each) for each in found}) == 1
    assert lists.asked == 1


async def test_those_that_wait_for_a_list_that_proves_private_fetch_their_own() -> None:
    lists = Lists()
    lists.hints = PRIVATE

    async def slowly() -> FetchedList[Names]:
        await asyncio.sleep(0)
        return await lists.fetch()

    found = await gathered(lists, "one", "two", "one", fetch=slowly)
    assert len({id(each) for each in found}) == 2
    assert lists.asked == 2


async def test_a_caller_that_leaves_hands_the_work_to_the_next_one() -> None:
    lists = Lists()
    begun = asyncio.Event()

    async def never() -> FetchedList[Names]:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    leaves = asyncio.create_task(lists.cache.get(lists.server, RawListRequest(TOOLS, "r"), CONFIG, never))
    await begun.wait()
    waits = asyncio.create_task(lists.cache.get(lists.server, RawListRequest(TOOLS, "r"), CONFIG, lists.fetch))
    await asyncio.sleep(0)
    leaves.cancel()
    assert (await waits).value.names == "a"
    with pytest.raises(asyncio.CancelledError):
        await leaves


async def test_those_that_wait_share_a_fault_of_the_server_and_it_is_not_asked_again_at_once() -> None:
    lists = Lists()
    lists.fails()

    async def slowly() -> FetchedList[Names]:
        await asyncio.sleep(0)
        return await lists.fetch()

    found = await gathered(lists, "one", "two", fetch=slowly)
    assert [type(each) for each in found] == [UpstreamFault, UpstreamFault]
    with pytest.raises(UpstreamFault):
        await lists.cache.get(lists.server, RawListRequest(TOOLS, "r"), CONFIG, lists.fetch)
    assert lists.asked == 1
    lists.clock.now += RETRY_SECONDS
    lists.fault = None
    await lists.cache.get(lists.server, RawListRequest(TOOLS, "r"), CONFIG, lists.fetch)


@pytest.mark.parametrize(
    "fault",
    [UpstreamFault(faults.NO_ROOM, "of this caller"), UpstreamFault(faults.EXCHANGE_REFUSED, "", of_caller=True)],
)
async def test_a_fault_of_one_caller_is_not_that_of_the_others(fault: UpstreamFault) -> None:
    lists = Lists()
    lists.fault = fault
    with pytest.raises(UpstreamFault):
        await lists.get("one")
    lists.fault = None
    assert await lists.get("two") == "a"


async def test_the_last_list_is_shown_while_the_server_fails_and_then_its_names_go() -> None:
    lists = Lists()
    await lists.get()
    lists.fails()
    lists.clock.now += 61
    copy = await lists.cache.get(lists.server, RawListRequest(TOOLS, "2025-11-25"), CONFIG, lists.fetch)
    assert copy.value.names == "a"
    assert copy.is_stale
    assert copy.remaining_ms(lists.clock.now) == 0
    lists.clock.now += 600
    with pytest.raises(UpstreamFault):
        await lists.get()


async def test_an_edited_time_for_which_last_lists_are_shown_applies_to_those_that_are_kept() -> None:
    lists = Lists()
    await lists.get()
    lists.fails()
    lists.clock.now += 61
    lists.config = ListCacheConfig(ttl=60_000, stale_if_error=0)
    with pytest.raises(UpstreamFault):
        await lists.get()
    lists.clock.now += 600
    lists.config = ListCacheConfig(ttl=60_000, stale_if_error=3_600_000)
    assert await lists.get() == "a"


async def test_a_stale_private_list_is_still_shown_to_its_caller_only() -> None:
    lists = Lists()
    lists.hints = PRIVATE
    await lists.get("one")
    lists.fails()
    lists.clock.now += 61
    assert await lists.get("one") == "a"
    with pytest.raises(UpstreamFault):
        await lists.get("two")


async def test_a_list_that_changed_is_fetched_again_for_everyone() -> None:
    lists = Lists()
    await lists.get(context="one")
    await lists.get(method="prompts/list")
    lists.cache.changed(lists.server, TOOLS)
    lists.names = "b"
    assert await lists.get(context="one") == "b"
    assert await lists.get(method="prompts/list") == "a"


async def test_a_list_that_changed_on_its_way_is_fetched_again() -> None:
    lists = Lists()

    async def changing() -> FetchedList[Names]:
        fetched = await lists.fetch()
        lists.cache.changed(lists.server, TOOLS)
        return fetched

    request = RawListRequest(TOOLS, "r")
    assert (await lists.cache.get(lists.server, request, CONFIG, changing)).value.names == "a"
    lists.names = "b"
    assert (await lists.cache.get(lists.server, request, CONFIG, lists.fetch)).value.names == "b"


async def test_an_edited_server_has_no_lists_and_those_of_the_former_are_gone_with_it() -> None:
    lists = Lists()
    await lists.get()
    assert lists.kept.held > 0
    lists.server, lists.names = server("crm"), "b"
    assert await lists.get() == "b"
    held = lists.kept.held
    lists.server = server("crm")
    gc.collect()
    assert lists.kept.held < held


async def test_the_lists_of_all_servers_have_one_bound_and_the_oldest_go_first() -> None:
    lists = Lists(limit=4 * 1024)
    lists.size = 1024
    servers = [server(str(number)) for number in range(8)]
    for lists.server in servers:
        await lists.get()
    assert lists.kept.held <= 4 * 1024
    await lists.get()
    assert lists.asked == 8
    lists.server = servers[0]
    await lists.get()
    assert lists.asked == 9


async def test_one_server_does_not_take_the_room_of_the_others() -> None:
    lists = Lists(limit=1 << 20, each=4 * 1024)
    lists.size = 1024
    first = lists.server
    await lists.get()
    lists.server = server("greedy")
    for number in range(100):
        await lists.get(context=str(number))
    assert lists.kept.held <= 6 * 1024
    lists.server = first
    await lists.get()
    assert lists.asked == 101


async def test_a_list_larger_than_the_room_of_its_server_is_shown_and_not_kept() -> None:
    lists = Lists(each=1024)
    lists.size = 2048
    assert [await lists.get(), await lists.get()] == ["a", "a"]
    assert lists.asked == 2
    assert lists.kept.held == 0


def test_hints_of_two_pages_are_the_shorter_time_and_the_narrower_scope() -> None:
    pages = [{"ttlMs": 500, "cacheScope": "public"}, {"ttlMs": 100.9, "cacheScope": "private"}]
    first, second = (hints_of(page, "2026-07-28") for page in pages)
    assert first & second == CacheHints(100, is_private=True)
    assert first & CacheHints() == first


@pytest.mark.parametrize("ttl", [-1, "5", True, None, float("inf"), float("nan"), [], {}])
def test_a_time_that_is_none_is_ignored(ttl: object) -> None:
    assert hints_of({"ttlMs": ttl}, "2025-11-25") == CacheHints()


def test_a_modern_list_without_a_valid_scope_is_private() -> None:
    assert hints_of({}, "2026-07-28").is_private
    assert hints_of({"cacheScope": "Public"}, "2026-07-28").is_private
    assert not hints_of({"cacheScope": "public"}, "2026-07-28").is_private
    assert not hints_of({}, "2025-11-25").is_private


async def test_a_fault_that_is_remembered_keeps_nothing_of_the_request_that_met_it() -> None:
    lists = Lists()
    lists.fails()
    with pytest.raises(UpstreamFault):
        await lists.get()

    asked = RawListRequest(TOOLS, "2025-11-25")
    found = lists.kept.of(lists.server).fault(asked, at=lists.clock())
    assert found is not None
    assert (found.kind, found.__traceback__, found.__context__) == (faults.UNREACHABLE, None, None)
