"""Config from the API server, whatever that server does; tests/cluster uses a real one."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from configs import GATEWAY, ConfigWriter, entry
from fake_api import NAMESPACE, FakeApi, fake_api
from gateways import policy
from mcp_clients import eventually

from ostiary_core.contract import mac, parts
from ostiary_core.contract.bundle import manifest_file
from ostiary_core.contract.manifest import parse_manifest
from ostiary_gateway.config import kubernetes_source, watch_loop
from ostiary_gateway.config.kubernetes_client import KubernetesApi
from ostiary_gateway.config.kubernetes_source import KubernetesSource, config_map_files, secret_files
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.errors import ConfigUnavailable
from ostiary_gateway.options import KubernetesOptions
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools

CONFIG, SECRET = "ostiary-default-0", "ostiary-default"
LISTS = {"configmaps": f"metadata.name={CONFIG}", "secrets": f"metadata.name={SECRET}"}


class Scene:
    """An API server, an operator that writes to it, and a store that a source fills from it."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.operator = ConfigWriter()
        self.store = ConfigStore(gateway=GATEWAY, servers=ServerPools(OwnEndpoints()).take)
        self.options = KubernetesOptions(api.url, api.token_file, api.ca_file)

    def source(self, **options: Any) -> KubernetesSource:
        return KubernetesSource(GATEWAY, replace(self.options, **options), self.store)

    def deliver_secret(self) -> None:
        self.api.put("secrets", SECRET, self.operator.secret)

    def deliver(self, *names: str, **more: Any) -> None:
        self.api.put("configmaps", CONFIG, self.operator.files(*(entry(name) for name in names), **more))

    @property
    def names(self) -> list[str] | None:
        snapshot = self.store.snapshot
        return None if snapshot is None else sorted(proxy.name for proxy in snapshot.proxies.values())

    async def until(self, *names: str) -> None:
        await eventually(lambda: self.names == sorted(names))


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(watch_loop, "_BACKOFF", (0.02, 0.05))
    monkeypatch.setattr(kubernetes_source, "_KEYS_SECONDS", 0.2)
    async with fake_api(tmp_path) as api:
        yield Scene(api)


async def test_it_leaves_no_connection_to_the_garbage_collector(scene: Scene) -> None:
    async def watch_and_go() -> None:
        async with KubernetesApi(scene.options) as api:
            query = {"fieldSelector": LISTS["configmaps"], "resourceVersion": "0"}
            watch = api.watch(f"/api/v1/namespaces/{NAMESPACE}/configmaps", query)
            watching = asyncio.ensure_future(anext(watch))
            await eventually(lambda: scene.api.watching("configmaps") == 1)
            watching.cancel()
            await asyncio.wait([watching])

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        await asyncio.to_thread(asyncio.run, watch_and_go())
        gc.collect()
    assert [str(each.message) for each in told] == []


Running = Callable[..., Awaitable[None]]


@pytest.fixture
async def run(scene: Scene) -> AsyncIterator[Running]:
    """Starts a source and waits until it watches both of its objects."""
    tasks: list[asyncio.Task[None]] = []

    async def start(**options: Any) -> None:
        tasks.append(asyncio.create_task(scene.source(**options).run()))
        if not options:
            await eventually(lambda: bool(scene.api.watching("configmaps") and scene.api.watching("secrets")))

    yield start
    for task in tasks:
        assert not task.done(), "a source never ends"
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_there_is_in_force_and_each_change_at_once(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    scene.deliver("crm")
    await run()
    await scene.until("crm")
    scene.deliver("crm", "wiki")
    await scene.until("crm", "wiki")

    assert scene.store.rejections == 0


async def test_it_asks_for_exactly_its_own_objects(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    scene.deliver("crm")
    await run()
    await scene.until("crm")

    for path, query, token in scene.api.seen:
        kind = path.rpartition("/")[2]
        assert path == f"/api/v1/namespaces/ostiary/{kind}"
        assert query["fieldSelector"] == LISTS[kind]
        assert query.get("resourceVersion") != "0"
        assert token == "first"
    watches = [query for _, query, _ in scene.api.seen if "watch" in query]
    assert {(q["allowWatchBookmarks"], q["timeoutSeconds"], q["resourceVersion"]) for q in watches} == {
        ("true", "300", "102")
    }


async def test_objects_that_come_later_are_taken_when_they_come(scene: Scene, run: Running) -> None:
    await run()
    scene.deliver("crm")
    scene.deliver_secret()
    await scene.until("crm")


async def test_keys_that_come_with_the_config_cause_no_alarm(scene: Scene, run: Running) -> None:
    scene.deliver("crm")
    scene.deliver_secret()
    for _ in range(5):
        await run()
    await scene.until("crm")

    assert scene.store.rejections == 0


async def test_a_compressed_part_is_read(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    many = [entry(f"proxy-{number}", path=f"/{'x' * 200}-{number}") for number in range(400)]
    files = scene.operator.files(*many)
    assert "documents-0.jsonl.gz" in files
    scene.api.put("configmaps", CONFIG, files)
    await run()
    await eventually(lambda: scene.store.snapshot is not None)

    assert scene.store.snapshot is not None
    assert len(scene.store.snapshot.proxies) == 400


def deliver_parts(scene: Scene, *names: str, first: bool = True, rest: bool = True) -> int:
    """Deliver in small parts, as ConfigMaps of their own; return how many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "ONE_PART_BYTES", 1500)
        bundle = scene.operator.bundle(*(entry(name) for name in names))
    for number, files in reversed(list(enumerate(bundle.files))):
        if number and rest:
            scene.api.put("configmaps", f"ostiary-default-{number}", files)
        elif not number and first:
            scene.api.put("configmaps", CONFIG, {"manifest.json": manifest_file(bundle), **files})
    return len(bundle.files)


NAMES = [f"p{number}" for number in range(12)]


async def test_further_parts_are_fetched_when_the_manifest_names_them_and_only_then(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    count = deliver_parts(scene, *NAMES)
    assert count > 1
    await run()
    await scene.until(*NAMES)
    fetched = [path for path, _, _ in scene.api.seen if path[-1].isdigit()]
    assert len(fetched) == len(set(fetched)) == count - 1

    deliver_parts(scene, *NAMES[:-1], "another")
    await scene.until(*NAMES[:-1], "another")
    again = [path for path, _, _ in scene.api.seen if path[-1].isdigit()][len(fetched) :]
    assert len(again) < count - 1  # what did not change is not fetched again


async def test_a_part_that_is_missing_is_waited_for(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    deliver_parts(scene, *NAMES, rest=False)
    await run(api=scene.options.api)
    await eventually(lambda: any(path[-1].isdigit() for path, _, _ in scene.api.seen))
    scene.operator.revision = 0
    deliver_parts(scene, *NAMES, first=False)
    await scene.until(*NAMES)


async def test_no_part_of_an_unsigned_manifest_is_fetched(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    scene.deliver("crm")
    await run()
    await scene.until("crm")
    forger = ConfigWriter(revision=100)
    manifest = parse_manifest(forger.files(entry("evil"))["manifest.json"]).model_copy(
        update={"parts": ["0" * 64] * 99}
    )
    forged = mac.sign(manifest, key_name="mac-1", key=forger.mac_key).canonical()
    scene.api.put("configmaps", CONFIG, {"manifest.json": forged})
    await eventually(lambda: scene.store.rejected_config is not None)
    assert not [path for path, _, _ in scene.api.seen if path[-1].isdigit()]
    assert scene.names == ["crm"]


async def test_an_expired_watch_is_begun_again_with_a_list(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    scene.deliver("crm")
    await run()
    await scene.until("crm")
    lists = sum("watch" not in query for _, query, _ in scene.api.seen)
    scene.api.expire()
    await eventually(lambda: sum("watch" not in query for _, query, _ in scene.api.seen) >= lists + 2)
    await eventually(lambda: scene.api.watching("configmaps") == 1)
    scene.deliver("wiki")
    await scene.until("wiki")


async def test_a_watch_that_ends_in_time_is_begun_again(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    await run()
    scene.api.end_watches()
    scene.deliver("crm")
    await scene.until("crm")


async def test_while_the_api_server_is_unreachable_the_last_good_config_stays_and_then_it_recovers(
    scene: Scene, run: Running, caplog: pytest.LogCaptureFixture
) -> None:
    scene.deliver_secret()
    scene.deliver("crm")
    await run()
    await scene.until("crm")
    keys = scene.store.keyring
    scene.api.away = True
    scene.api.end_watches()
    await eventually(lambda: "retrying in" in caplog.text)
    assert scene.names == ["crm"]
    assert scene.store.keyring == keys

    scene.deliver("wiki")
    scene.api.away = False
    await scene.until("wiki")


async def test_it_starts_while_the_api_server_is_unreachable(scene: Scene, run: Running) -> None:
    scene.api.away = True
    await run(api=scene.options.api)
    await eventually(lambda: len(scene.api.seen) > 3)
    scene.deliver_secret()
    scene.deliver("crm")
    scene.api.away = False
    await scene.until("crm")


async def test_a_rotated_token_is_read_from_its_file(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    scene.deliver("crm")
    await run()
    await scene.until("crm")
    scene.api.tokens = {"second"}
    scene.api.end_watches()
    await eventually(lambda: sum(token == "first" for _, _, token in scene.api.seen) > 6)
    scene.api.token_file.write_text("second")
    scene.deliver("wiki")
    await scene.until("wiki")

    assert scene.api.seen[-1][2] == "second"


async def test_a_token_that_cannot_be_read_is_tried_again(
    scene: Scene, run: Running, caplog: pytest.LogCaptureFixture
) -> None:
    scene.api.token_file.unlink()
    await run(api=scene.options.api)
    await eventually(lambda: "No such file" in caplog.text)
    scene.api.token_file.write_text("first")
    scene.deliver_secret()
    scene.deliver("crm")
    await scene.until("crm")


async def test_an_authority_that_cannot_be_read_is_tried_again(
    scene: Scene, run: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    later = tmp_path / "later.crt"
    await run(ca_file=later)
    await eventually(lambda: "later.crt" in caplog.text)
    later.write_bytes(scene.api.ca_file.read_bytes())
    scene.deliver_secret()
    scene.deliver("crm")
    await scene.until("crm")


async def test_a_missing_right_is_described_in_the_message(
    scene: Scene, run: Running, caplog: pytest.LogCaptureFixture
) -> None:
    scene.api.forbidden = {"secrets"}
    scene.deliver("crm")
    await run(api=scene.options.api)
    await eventually(lambda: "must grant get, list and watch on this name" in caplog.text)
    # The config is judged all the same: its keys may come from the mounted volume.
    await eventually(lambda: scene.store.rejected_config is not None)
    await scene.store.offer("directory", {}, scene.operator.keys)
    await scene.until("crm")


async def test_a_deleted_object_leaves_the_last_good_in_force(
    scene: Scene, run: Running, caplog: pytest.LogCaptureFixture
) -> None:
    scene.deliver_secret()
    scene.deliver("crm")
    await run()
    await scene.until("crm")
    scene.api.delete("configmaps", CONFIG)
    scene.api.delete("secrets", SECRET)
    await eventually(lambda: caplog.text.count("was deleted") == 2)
    assert scene.names == ["crm"]
    assert not scene.store.keyring.empty

    scene.deliver("wiki")
    await scene.until("wiki")


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[]\n",
        b"7\n",
        {"type": "MODIFIED"},
        {"type": "MODIFIED", "object": None},
        {"type": "MODIFIED", "object": {"metadata": {"name": CONFIG}, "data": [1]}},
        {"type": "MODIFIED", "object": {"metadata": {"name": CONFIG}, "data": {"manifest.json": 7}}},
        {"type": "MODIFIED", "object": {"metadata": {"name": CONFIG}, "binaryData": {"x": "no base64!"}}},
        {"type": "MODIFIED", "object": {"metadata": {"name": SECRET}, "data": {"x": 7}}},
        {"type": "MODIFIED", "object": {"metadata": {"name": SECRET}, "data": "x"}},
        {"type": "ERROR", "object": {"code": 500, "reason": "InternalError"}},
        {"type": "ERROR", "object": {}},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "999"}}},
        {"type": "WHATEVER", "object": {}},
        {"type": "MODIFIED", "object": {"metadata": {"name": "another"}, "data": {"manifest.json": "{"}}},
        b"x" * (5 << 20),
    ],
)
async def test_no_babbling_stops_the_watching(scene: Scene, run: Running, line: Any) -> None:
    scene.deliver_secret()
    scene.deliver("crm")
    await run()
    await scene.until("crm")
    scene.api.say(line)
    await asyncio.sleep(0)
    scene.deliver("wiki")
    await scene.until("wiki")

    assert scene.store.rejections == 0


@pytest.mark.parametrize(
    "listed", [b"", b"{", b"[]", b"null", b'{"items":7}', b'{"items":[7]}', b'{"items":[{"metadata":{}}]}', b"{}"]
)
async def test_a_list_that_is_none_is_tried_again(scene: Scene, run: Running, listed: bytes) -> None:
    scene.api.broken = {"configmaps": listed, "secrets": listed}
    await run(api=scene.options.api)
    await eventually(lambda: len(scene.api.seen) > 2)
    scene.api.broken = {}
    scene.deliver_secret()
    scene.deliver("crm")
    await scene.until("crm")


async def test_a_redirect_is_not_followed_with_our_token(scene: Scene, run: Running) -> None:
    tokens: list[str | None] = []

    async def elsewhere(request: web.BaseRequest) -> web.Response:
        tokens.append(request.headers.get("Authorization"))
        return web.json_response({"items": []})

    runner = web.ServerRunner(web.Server(elsewhere))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def redirect(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    redirecting = web.ServerRunner(web.Server(redirect))
    await redirecting.setup()
    await web.TCPSite(redirecting, "127.0.0.1", 0).start()
    try:
        await run(api=f"http://127.0.0.1:{redirecting.addresses[0][1]}")
        await asyncio.sleep(0.1)
        assert tokens == []
    finally:
        await runner.cleanup()
        await redirecting.cleanup()


async def test_a_failing_server_is_asked_more_and_more_slowly(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(watch_loop, "_BACKOFF", (0.1, 1.0, 30.0))
    monkeypatch.setattr(asyncio, "sleep", slept)
    scene.api.forbidden = {"secrets"}
    async with KubernetesApi(scene.options) as api:
        task = asyncio.create_task(scene.source()._follow(api, "secrets", SECRET))
        while len(waits) < 5:
            await sleep(0.01)
        task.cancel()

    assert 0.05 <= waits[0] <= 0.15
    assert 0.5 <= waits[1] <= 1.5
    assert all(15 <= wait <= 45 for wait in waits[2:5])


async def test_a_policy_is_in_force_by_way_of_the_api_alone(scene: Scene, run: Running) -> None:
    scene.deliver_secret()
    p = policy("p")
    files = scene.operator.files(entry("crm", [p]), policies=[p])
    scene.api.put("configmaps", CONFIG, files)
    await run()
    await scene.until("crm")

    assert scene.store.snapshot is not None
    assert scene.store.snapshot.proxies["default/crm"].policies


def test_the_data_of_objects_are_files_as_a_volume_shows_them() -> None:
    assert config_map_files({"data": {"a": "ü"}, "binaryData": {"b": "AAE="}}) == {"a": "ü".encode(), "b": b"\x00\x01"}
    assert config_map_files({}) == {}
    assert secret_files({"data": {"a": "AAE="}}) == {"a": b"\x00\x01"}
    assert secret_files({"data": None}) == {}


@pytest.mark.parametrize(
    "found", [{"data": {"a": "A"}}, {"data": {"a": None}}, {"data": [1]}, {"data": {"a": "AA==="}}]
)
def test_data_that_are_not_base64_are_refused(found: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigUnavailable):
        secret_files(found)
