"""A gateway with two config sources keeps the newest signed config, in whatever order they arrive.

The sources are the mounted volume and the API server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from configs import GATEWAY, ConfigWriter, entry
from fake_api import FakeApi, fake_api
from mcp_clients import eventually
from volumes import swap_in_config

from ostiary_gateway.config import kubernetes_source, watch_loop
from ostiary_gateway.config.directory_source import DirectorySource
from ostiary_gateway.config.kubernetes_source import KubernetesSource
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.options import KubernetesOptions
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools

CONFIG, SECRET = "ostiary-default-0", "ostiary-default"


class Scene:
    """A gateway's store, and both of its sources."""

    def __init__(self, api: FakeApi, volume: Path) -> None:
        self.api = api
        self.volume = volume
        self.operator = ConfigWriter()
        self.store = ConfigStore(gateway=GATEWAY, servers=ServerPools(OwnEndpoints()).take)
        options = KubernetesOptions(api.url, api.token_file, api.ca_file)
        self._directory = DirectorySource(volume, self.store, keys=volume / "keys")
        self._watch = KubernetesSource(GATEWAY, options, self.store)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks.append(asyncio.create_task(self._watch.run()))

    async def stop(self) -> None:
        for task in self._tasks:
            assert not task.done(), "a source never ends"
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def files(self, *names: str, revision: int | None = None) -> dict[str, bytes]:
        return self.operator.files(*(entry(name) for name in names), revision=revision)

    async def mount(self, files: Mapping[str, bytes], *, secret: Mapping[str, bytes] | None = None) -> None:
        """Swap in a version of the volumes, as the kubelet does, and have it judged. By default the Secret is ours."""
        swap_in_config(self.volume, files, secret=self.operator.secret if secret is None else secret)
        await self._directory.poll()

    def watched(self, files: Mapping[str, bytes]) -> None:
        self.api.put("configmaps", CONFIG, files)

    def watched_secret(self) -> None:
        self.api.put("secrets", SECRET, self.operator.secret)

    @property
    def names(self) -> list[str] | None:
        snapshot = self.store.snapshot
        return None if snapshot is None else sorted(proxy.name for proxy in snapshot.proxies.values())

    async def until(self, *names: str) -> None:
        await eventually(lambda: self.names == sorted(names))

    async def until_both_are_watched(self) -> None:
        await eventually(lambda: bool(self.api.watching("configmaps") and self.api.watching("secrets")))


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(watch_loop, "_BACKOFF", (0.02, 0.05))
    monkeypatch.setattr(kubernetes_source, "_KEYS_SECONDS", 0.2)
    volume = tmp_path / "volume"
    volume.mkdir()
    async with fake_api(tmp_path) as api:
        it = Scene(api, volume)
        yield it
        await it.stop()


async def test_it_starts_from_disk_while_the_api_server_is_unreachable_and_loads_the_newest_when_it_returns(
    scene: Scene,
) -> None:
    await scene.mount(scene.files("crm"))
    scene.watched_secret()
    scene.watched(scene.files("crm", "wiki"))
    scene.api.away = True
    scene.start()
    await scene.until("crm")
    scene.api.away = False
    await scene.until("crm", "wiki")


async def test_a_stale_mount_takes_nothing_back_from_a_newer_watch(scene: Scene) -> None:
    stale, newer, newest = scene.files("crm"), scene.files("crm", "wiki"), scene.files("crm", "wiki", "mail")
    scene.watched_secret()
    scene.watched(newer)
    scene.start()
    await scene.until("crm", "wiki")
    await scene.mount(stale)
    assert scene.names == ["crm", "wiki"]
    await scene.mount(newest)
    await scene.until("crm", "mail", "wiki")
    scene.watched(newer)  # as after a restore of the object from a backup
    scene.watched(scene.files("last", revision=99))
    await scene.until("last")


async def test_a_config_map_that_arrives_before_its_secret_waits_for_it_and_opens_nothing(scene: Scene) -> None:
    scene.watched(scene.files("crm"))
    scene.start()
    await eventually(lambda: scene.api.watching("configmaps") > 0)
    assert scene.names is None
    scene.watched_secret()
    await scene.until("crm")


async def test_a_config_signed_with_a_key_that_is_not_there_yet_is_taken_when_the_key_comes(scene: Scene) -> None:
    scene.watched_secret()
    scene.watched(scene.files("crm"))
    scene.start()
    await scene.until("crm")
    scene.operator.mac_key = b"n" * 32  # the Secret was created again
    scene.watched(scene.files("crm", "wiki"))
    await eventually(lambda: scene.store.rejected_config is not None)
    assert scene.names == ["crm"]
    scene.watched_secret()
    await scene.until("crm", "wiki")
    assert scene.store.rejected_config is None


async def test_objects_that_are_deleted_and_a_forged_one_in_their_place_change_nothing(scene: Scene) -> None:
    scene.watched_secret()
    scene.watched(scene.files("crm"))
    scene.start()
    await scene.until("crm")
    await scene.until_both_are_watched()
    scene.api.delete("configmaps", CONFIG)
    forger = ConfigWriter(revision=1000)  # it has keys, but not ours
    scene.watched(forger.files(entry("evil")))
    await eventually(lambda: scene.store.rejected_config is not None)
    assert scene.names == ["crm"]
    scene.watched(scene.files("crm", "wiki", revision=2))
    await scene.until("crm", "wiki")  # and its revision is not believed either


# -- the volume of an earlier chart, which joins ConfigMaps and Secret in one folder


async def test_under_an_earlier_chart_a_gateway_that_watches_takes_its_keys_from_the_api(scene: Scene) -> None:
    await scene.mount({**scene.files("crm"), **scene.operator.secret}, secret={})
    assert scene.names is None
    scene.watched_secret()
    scene.start()
    await scene.until("crm")
    assert scene.store.misplaced == ("admin-token", "mac-1", "session-0")


async def test_under_an_earlier_chart_a_gateway_that_does_not_watch_serves_nothing_and_reports_why(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.mount({**scene.files("crm"), **scene.operator.secret}, secret={})
    assert scene.names is None
    assert scene.store.keyring.empty
    assert "Mount the Secret apart" in caplog.text
    await scene.mount(scene.files("crm", revision=1))
    assert scene.names == ["crm"]
    assert scene.store.misplaced == ()


async def test_a_key_in_a_config_map_that_is_watched_is_no_key(scene: Scene) -> None:
    scene.watched_secret()
    scene.watched(scene.files("crm"))
    scene.start()
    await scene.until("crm")
    await scene.until_both_are_watched()
    forger = ConfigWriter(revision=1000, mac_key=b"f" * 32, session_key=b"g" * 32)
    scene.watched({**forger.files(entry("evil")), **forger.secret})
    await eventually(lambda: scene.store.rejected_config is not None)
    assert scene.names == ["crm"]
    assert scene.store.misplaced == ("admin-token", "mac-1", "session-0")
    assert forger.session_key not in scene.store.keyring.sessions.values()
