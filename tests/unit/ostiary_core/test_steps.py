"""Work in steps states what it needs, and is run without a loop where it needs none."""

from functools import partial

import pytest

from ostiary_core.steps import Awaited, InThread, Steps, freeing, run_steps


def searched(texts: list[str]) -> Steps[int]:
    found = 0
    for text in texts:
        yield
        found += yield InThread(partial(text.count, "a"))
    return found


def test_work_for_a_thread_is_done_at_once_where_there_is_no_loop() -> None:
    assert run_steps(searched(["banana", "b", "a"])) == 4


def test_work_without_a_step_has_its_result() -> None:
    assert run_steps(searched([])) == 0


def test_work_that_awaits_something_needs_a_loop() -> None:
    async def verdict() -> bool:
        return True

    def judged() -> Steps[bool]:
        return bool((yield Awaited(verdict)))

    with pytest.raises(RuntimeError, match="not run by an event loop"):
        run_steps(judged())


def test_a_long_list_is_freed_in_several_steps_and_a_short_one_in_one() -> None:
    long, short = list(range(100_000)), [1, 2, 3]
    assert sum(1 for _ in freeing(long)) > 20
    assert list(freeing(short)) == []
    assert long == short == []
