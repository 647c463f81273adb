import pytest

from ostiary_operator.controller.queue import CEILING, FIRST_RETRY, QUIET, RESYNC, SLOWEST_RETRY, Schedule


def schedule(random: float = 0.5) -> Schedule:
    return Schedule(lambda: random)


def test_nothing_is_due_before_the_first_request() -> None:
    assert schedule().due() == float("inf")


def test_a_poke_is_due_after_a_quiet_period() -> None:
    it = schedule()
    it.enqueue(10.0)
    assert it.due() == 10.0 + QUIET


def test_further_pokes_put_it_off() -> None:
    it = schedule()
    it.enqueue(10.0)
    it.enqueue(10.04)
    assert it.due() == pytest.approx(10.04 + QUIET)


def test_a_stream_of_pokes_that_never_pauses_is_answered_at_the_ceiling() -> None:
    it = schedule()
    for step in range(100):
        it.enqueue(10.0 + step * 0.04)
    assert it.due() == 10.0 + CEILING


def test_a_poke_during_a_pass_wants_another_pass() -> None:
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


def test_a_poke_after_a_failure_is_answered_sooner_than_the_repetition_but_not_at_once() -> None:
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
