"""What was worked out for callers, for as long as they live."""

import gc
from weakref import ref

from ostiary_core.policy.principal import Principal
from ostiary_core.policy.principal_memo import PrincipalMemo


def caller(name: str = "a") -> Principal:
    return Principal(id=name, method="key")


def test_a_value_is_worked_out_once_for_each_caller() -> None:
    memo: PrincipalMemo[object] = PrincipalMemo()
    one, equal = caller(), caller()

    first = memo.of(one, lambda _: object())
    assert memo.of(one, lambda _: object()) is first
    assert memo.of(equal, lambda _: object()) is not first, "callers are compared by identity"


def test_no_caller_lives_longer_because_it_is_known() -> None:
    memo: PrincipalMemo[int] = PrincipalMemo()
    one = caller()
    memo.of(one, lambda _: 1)
    known = ref(one)
    del one
    gc.collect()

    assert known() is None
    # Others may get the address of one that has ended, and never its value.
    assert [memo.of(caller(str(number)), lambda each: int(each.id)) for number in range(100)] == list(range(100))


def test_the_least_recently_used_of_many_is_forgotten_first() -> None:
    memo: PrincipalMemo[object] = PrincipalMemo()
    callers = [caller(str(number)) for number in range(1024)]
    values = [memo.of(each, lambda _: object()) for each in callers]
    assert memo.of(callers[0], lambda _: object()) is values[0]

    memo.of(another := caller("another"), lambda _: object())
    assert memo.of(callers[0], lambda _: object()) is values[0]
    assert memo.of(callers[1], lambda _: object()) is not values[1]
    assert another.id == "another"
