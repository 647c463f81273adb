"""The most used names: whatever is used in whatever order, no use is lost and memory is bounded."""

from ended_calls import ended_call
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.evidence.name_use import MOST_NAMES, NameUses
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.evidence.name_table import NamedCounts, NameTable, names_document

#: A use of a name, or the end of a quarter or of a half day.
steps = st.lists(st.integers(0, 120) | st.sampled_from(["quarter", "half"]), max_size=300)


def use(table: NameTable, name: str, *, seconds: float = 0.5, outcome: CallOutcome = CallOutcome.OK) -> None:
    failed = "" if outcome is CallOutcome.OK else "-31001"
    table.add("tools/call", name, ended_call(tool=name, seconds=seconds, outcome=outcome, error_type=failed))


def told(table: NameTable, *, is_recent: bool = False) -> NameUses:
    uses: dict[tuple[str, str], NamedCounts] = {}
    table.add_to(uses, is_recent=is_recent)
    return NameUses.model_validate(names_document(uses, since=1))


@given(steps)
def test_the_sum_of_all_names_and_others_is_exact(given_steps: list[int | str]) -> None:
    table = NameTable()
    quarters, halves = [0, 0], [0, 0]
    for step in given_steps:
        if step == "half":
            table.end_quarter(passed=1)
            table.end_half(passed=1)
            quarters, halves = [0, quarters[0]], [0, halves[0]]
        elif step == "quarter":
            table.end_quarter(passed=1)
            quarters = [0, quarters[0]]
        else:
            use(table, f"tool-{step}")
            quarters[0] += 1
            halves[0] += 1
    for is_recent, expected in ((False, sum(halves)), (True, sum(quarters))):
        found = told(table, is_recent=is_recent)
        assert sum(each.calls for each in (*found.names, found.others)) == expected
        assert len(found.names) <= MOST_NAMES


def test_uses_of_two_half_days_are_told_and_older_ones_are_not() -> None:
    table = NameTable()
    use(table, "old")
    for _ in range(2):
        table.end_quarter(passed=1)
        table.end_half(passed=1)
        use(table, "new")
    assert [(each.name, each.calls) for each in told(table).names] == [("new", 2)]
    assert [(each.name, each.calls) for each in told(table, is_recent=True).names] == [("new", 2)]


def test_a_time_without_requests_forgets_what_was_recent() -> None:
    table = NameTable()
    use(table, "a")
    table.end_quarter(passed=3)
    assert told(table, is_recent=True).names == ()
    assert [each.calls for each in told(table).names] == [1]


def test_what_is_used_most_is_named_however_many_names_there_are() -> None:
    table = NameTable()
    for number in range(2000):
        use(table, f"rare-{number}")
        use(table, "often")
    found = told(table)
    assert found.names[0].name == "often"
    assert found.names[0].calls > 1900
    assert sum(each.calls for each in (*found.names, found.others)) == 4000
    assert len(table.calls) == 4 * (MOST_NAMES + 1)


def test_errors_denials_and_durations_are_those_of_the_name() -> None:
    table = NameTable()
    use(table, "a", seconds=1.0)
    use(table, "a", seconds=3.0, outcome=CallOutcome.DENIED)
    use(table, "a", seconds=2.0, outcome=CallOutcome.FAILED)
    (found,) = told(table).names
    assert (found.calls, found.errors, found.denied, found.seconds, found.slowest) == (3, 2, 1, 6.0, 3.0)


def test_a_copy_does_not_change_with_its_table() -> None:
    table = NameTable()
    use(table, "a")
    copied = table.copy()
    use(table, "a")
    use(table, "b")
    assert [(each.name, each.calls) for each in told(copied).names] == [("a", 1)]
