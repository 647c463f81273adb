import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ostiary_operator.clock import ManualClock, settle
from ostiary_operator.controller.queue import (
    CEILING,
    FIRST_RETRY,
    QUIET,
    SLOWEST_RETRY,
    PassRequest,
    PassResult,
    Schedule,
    WorkQueue,
)
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.errors import Conflict, Unreachable
from ostiary_operator.kube.informer import PLATFORM_SETTINGS
from ostiary_operator.kube.watch_scopes import RESYNC

Script = Callable[[int], Awaitable[PassResult] | PassResult]


class Passes:
    def __init__(self, script: Script = lambda _: PassResult()) -> None:
        self.calls: list[PassRequest] = []
        self.reasons: list[frozenset[str]] = []
        self._script = script

    async def __call__(self, call: PassRequest) -> PassResult:
        self.calls.append(call)
        self.reasons.append(call.reasons)
        outcome = self._script(len(self.reasons))
        return outcome if isinstance(outcome, PassResult) else await outcome


@asynccontextmanager
async def running(passes: Passes, clock: ManualClock) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(passes, clock, Schedule(lambda: 0.5))
    task = asyncio.create_task(queue.run())
    await settle()
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.wait([task])


def raising(error: Exception) -> Script:
    def script(number: int) -> PassResult:
        if number == 1:
            raise error
        return PassResult()

    return script


async def test_a_burst_of_requests_becomes_one_pass_with_all_their_reasons() -> None:
    clock, passes = ManualClock(), Passes()
    async with running(passes, clock) as queue:
        for reason in ("MCPProxy", "MCPProxy", "MCPPolicy"):
            queue.enqueue(reason)
        await clock.advance(QUIET)
    assert passes.reasons == [frozenset({"MCPProxy", "MCPPolicy"})]


async def test_a_pass_receives_all_changes_and_the_next_one_only_later_changes() -> None:
    clock, passes = ManualClock(), Passes()
    async with running(passes, clock) as queue:
        queue.enqueue("MCPProxy", ChangedNamespaces.within(["a"]))
        queue.enqueue("MCPPolicy", ChangedNamespaces.within(["b"]))
        await clock.advance(QUIET)
        queue.enqueue("MCPProxy", ChangedNamespaces.within(["c"]))
        await clock.advance(QUIET)
    assert [call.changed for call in passes.calls] == [
        ChangedNamespaces.within(["a", "b"]),
        ChangedNamespaces.within(["c"]),
    ]


@pytest.mark.parametrize("change", [EVERYTHING, None], ids=["everything", "unknown changes"])
async def test_where_anything_may_have_changed_a_pass_checks_everything(change: ChangedNamespaces | None) -> None:
    clock, passes = ManualClock(), Passes()
    async with running(passes, clock) as queue:
        queue.enqueue("MCPProxy", ChangedNamespaces.within(["a"]))
        queue.enqueue("watch", *([change] if change is not None else []))
        await clock.advance(QUIET)
    assert passes.calls[0].changed == EVERYTHING


@pytest.mark.parametrize(
    "script",
    [raising(Unreachable("away")), raising(Conflict("raced")), lambda n: PassResult(("half",) if n == 1 else ())],
    ids=["failed", "raced", "incomplete"],
)
async def test_the_changes_of_a_failed_pass_are_not_lost(script: Script) -> None:
    clock, passes = ManualClock(), Passes(script)
    async with running(passes, clock) as queue:
        queue.enqueue("MCPProxy", ChangedNamespaces.within(["a"]))
        await clock.advance(QUIET)
        queue.enqueue("MCPProxy", ChangedNamespaces.within(["b"]))
        await clock.advance(2.0)
    assert [call.changed for call in passes.calls] == [ChangedNamespaces.within(["a"]), EVERYTHING]


async def test_the_periodic_resync_checks_everything() -> None:
    clock, passes = ManualClock(), Passes()
    async with running(passes, clock) as queue:
        queue.enqueue("MCPProxy", ChangedNamespaces.within(["a"]))
        await clock.advance(QUIET)
        await clock.advance(RESYNC)
    assert passes.calls[-1].changed == EVERYTHING


async def test_no_pass_begins_before_the_quiet_period_is_over() -> None:
    clock, passes = ManualClock(), Passes()
    async with running(passes, clock) as queue:
        queue.enqueue("MCPProxy")
        await clock.advance(QUIET / 2)
        assert passes.reasons == []
        queue.enqueue("MCPProxy")
        await clock.advance(QUIET / 2)
        assert passes.reasons == []
        await clock.advance(QUIET / 2)
        assert len(passes.reasons) == 1


async def test_two_passes_never_run_at_once_and_a_request_during_one_is_not_lost() -> None:
    clock, go = ManualClock(), asyncio.Event()

    async def slow() -> PassResult:
        await go.wait()
        return PassResult()

    passes = Passes(lambda _: slow())
    async with running(passes, clock) as queue:
        queue.enqueue("first")
        await clock.advance(QUIET)
        assert not passes.calls[0].superseded()
        queue.enqueue("second")
        await clock.advance(10)
        assert passes.reasons == [frozenset({"first"})]
        assert passes.calls[0].superseded()
        go.set()
        await clock.advance(QUIET)
    assert passes.reasons == [frozenset({"first"}), frozenset({"second"})]


async def test_it_comes_round_when_nothing_happens() -> None:
    clock, passes = ManualClock(), Passes()
    async with running(passes, clock) as queue:
        queue.enqueue("start")
        await clock.advance(QUIET)
        await clock.advance(RESYNC)
    assert passes.reasons == [frozenset({"start"}), frozenset({"resync"})]


async def test_what_cannot_be_read_is_tried_again_and_success_is_remembered() -> None:
    clock, passes = ManualClock(), Passes(raising(Unreachable("the API server does not answer")))
    async with running(passes, clock) as queue:
        queue.enqueue("start")
        await clock.advance(QUIET)
        assert queue.observed.last_failure == "the API server does not answer"
        assert not queue.first_success.is_set()
        await clock.advance(1.0)
        assert queue.first_success.is_set()
        assert queue.observed.last_failure is None
        assert queue.observed.passes == {"failed": 1, "succeeded": 1}


async def test_a_bug_does_not_end_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    clock, passes = ManualClock(), Passes(raising(KeyError("spec")))
    async with running(passes, clock) as queue:
        queue.enqueue("start")
        await clock.advance(QUIET)
        await clock.advance(1.0)
    assert len(passes.reasons) == 2
    assert "a bug" in caplog.text


async def test_a_lost_race_is_repeated_at_once_and_is_no_failure() -> None:
    clock, passes = ManualClock(), Passes(raising(Conflict("another writer was faster")))
    async with running(passes, clock) as queue:
        queue.enqueue("start")
        await clock.advance(QUIET)
        await clock.advance(0.2)
        assert len(passes.reasons) == 2
        assert queue.observed.last_failure is None


async def test_an_incomplete_pass_counts_as_seen_everything_and_is_repeated() -> None:
    clock, passes = (
        ManualClock(),
        Passes(lambda number: PassResult(failures=("gateway a/b: 403",) if number == 1 else ())),
    )
    async with running(passes, clock) as queue:
        queue.enqueue("start")
        await clock.advance(QUIET)
        assert queue.first_success.is_set()
        assert queue.observed.last_failure == "gateway a/b: 403"
        await clock.advance(1.0)
        assert queue.observed.passes == {"incomplete": 1, "succeeded": 1}


async def test_a_pass_can_ask_for_another_one() -> None:
    clock, passes = ManualClock(), Passes(lambda number: PassResult(requeue_after=3.0 if number == 1 else None))
    async with running(passes, clock) as queue:
        queue.enqueue("start")
        await clock.advance(QUIET)
        await clock.advance(2.9)
        assert len(passes.reasons) == 1
        await clock.advance(0.1)
        assert len(passes.reasons) == 2


async def test_the_worker_reports_liveness_although_nothing_happens() -> None:
    clock, passes = ManualClock(), Passes()
    async with running(passes, clock) as queue:
        await clock.advance(60.0)
        assert clock.monotonic() - queue.observed.heartbeat <= 5.0


def schedule(random: float = 0.5) -> Schedule:
    return Schedule(lambda: random)


def test_nothing_is_due_before_the_first_request() -> None:
    assert schedule().due() == float("inf")


def test_a_pass_is_due_after_a_quiet_period() -> None:
    it = schedule()
    it.enqueue(10.0)
    assert it.due() == 10.0 + QUIET


def test_further_requests_delay_the_pass() -> None:
    it = schedule()
    it.enqueue(10.0)
    it.enqueue(10.04)
    assert it.due() == pytest.approx(10.04 + QUIET)


def test_a_steady_stream_of_requests_gets_a_pass_after_the_maximum_delay() -> None:
    it = schedule()
    for step in range(100):
        it.enqueue(10.0 + step * 0.04)
    assert it.due() == 10.0 + CEILING


def test_a_request_during_a_pass_causes_another_pass() -> None:
    it = schedule()
    it.enqueue(10.0)
    it.started()
    it.enqueue(10.1)
    it.succeeded(10.2)
    assert it.due() == pytest.approx(10.1 + QUIET)


@pytest.mark.parametrize(("random", "factor"), [(0.0, 0.9), (0.5, 1.0), (1.0, 1.1)])
def test_it_comes_round_with_jitter_when_nothing_happens(random: float, factor: float) -> None:
    it = schedule(random)
    it.succeeded(100.0)
    assert it.due() == pytest.approx(100.0 + RESYNC * factor)


def test_failures_are_repeated_ever_more_slowly_up_to_a_bound() -> None:
    it = schedule(1.0)
    delays = [it.failed(0.0) for _ in range(10)]
    assert delays[:4] == [1.0, 2.0, 4.0, 8.0]
    assert delays[-1] == SLOWEST_RETRY


def test_jitter_never_repeats_a_failure_at_once() -> None:
    it = schedule(0.0)
    assert min(it.failed(0.0) for _ in range(10)) == FIRST_RETRY


def test_success_resets_the_slowness() -> None:
    it = schedule(1.0)
    for _ in range(5):
        it.failed(0.0)
    it.succeeded(1.0)
    assert it.failed(2.0) == FIRST_RETRY


def test_a_request_after_a_failure_gets_a_pass_before_the_retry_but_not_at_once() -> None:
    it = schedule(1.0)
    for _ in range(5):
        it.failed(100.0)
    it.started()
    it.failed(100.0)
    it.enqueue(100.01)
    assert it.due() == 100.0 + FIRST_RETRY


def test_a_pass_can_be_asked_for_at_a_moment() -> None:
    it = schedule()
    it.succeeded(0.0)
    it.enqueue_at(7.0)
    it.enqueue_at(9.0)
    assert it.due() == 7.0
    it.started()
    assert it.due() > 9.0


def test_a_change_of_the_platforms_settings_gets_a_pass_at_once_also_in_a_busy_queue_or_after_a_failure() -> None:
    now = schedule()
    now.enqueue(9.99)
    now.enqueue_now(10.0)
    assert now.due() <= 10.0
    now.started()
    now.failed(10.0)
    now.enqueue_now(10.1)
    assert now.due() <= 10.1
    now.started()
    now.succeeded(10.2)
    assert now.due() > 11.0


async def test_only_settings_of_the_platform_begin_a_pass_within_the_quiet_period() -> None:
    clock, passes = ManualClock(), Passes()
    async with running(passes, clock) as queue:
        queue.enqueue("ConfigMap")
        await settle()
        assert passes.reasons == []
        queue.enqueue(PLATFORM_SETTINGS)
        await settle()
        assert passes.reasons == [frozenset({"ConfigMap", PLATFORM_SETTINGS})]
