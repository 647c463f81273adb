import gc
import sys
import time
import weakref
from collections.abc import Iterator

import pytest
from configs import entry

from ostiary_gateway.config.cooperative_build import FREEZE_FROM, CooperativeBuild, cooperative_build
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.server import UpstreamServer


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    sys.setswitchinterval(0.005)  # builds of several gateways at once, in earlier tests of this process, change it
    yield
    gc.unfreeze()


def test_while_a_config_is_built_the_collector_rests_and_requests_are_let_in_often() -> None:
    before = sys.getswitchinterval()
    with cooperative_build():
        assert not gc.isenabled()
        assert sys.getswitchinterval() < before / 5
    assert gc.isenabled()
    assert sys.getswitchinterval() == before


def test_all_is_as_before_when_building_fails() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(RuntimeError), cooperative_build():
        raise RuntimeError("a bug")
    assert gc.isenabled()
    assert sys.getswitchinterval() == before


@pytest.mark.parametrize(("built", "frozen"), [(FREEZE_FROM, True), (FREEZE_FROM - 1, False)])
def test_only_objects_of_a_large_build_are_frozen_for_the_garbage_collector(built: int, *, frozen: bool) -> None:
    gc.unfreeze()
    with cooperative_build() as build:
        build.built = built
    assert (gc.get_freeze_count() > 0) is frozen


def test_the_builder_rests_whenever_it_has_worked_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests = 100.0, []

    def rest(seconds: float) -> None:
        rests.append((round(now, 3), seconds))

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    monkeypatch.setattr(time, "sleep", rest)
    build = CooperativeBuild()
    for _ in range(10):
        now += 0.0005
        build.built_one()
    assert [at for at, _ in rests] == [100.002, 100.004]
    assert all(seconds > 0 for _, seconds in rests)


async def test_an_unused_server_is_freed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        server = UpstreamServer(entry("crm").servers[0], own=OwnEndpoints(), connections=1, proxy="a/b", mark="m")
        gone = weakref.ref(server)
        server.close()
        del server
        assert gone() is None
    finally:
        gc.enable()
