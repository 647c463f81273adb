"""Which credentials are in a gateway's Secret, and in which order they arrive and leave."""

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.delivery.credentials import needed, with_earlier


def values(*names: str, size: int = 8) -> dict[str, SecretBytes]:
    return {name: SecretBytes(name.encode().ljust(size, b".")) for name in names}


def test_a_value_that_is_read_no_more_stays_as_it_was_delivered() -> None:
    found = needed(["a", "b", "c"], supplied=values("a"), delivered=values("b"))
    assert found == values("a", "b")


def test_what_no_config_names_is_not_delivered() -> None:
    assert needed(["a"], supplied=values("a", "b"), delivered=values("c")) == values("a")


def test_earlier_values_stay_next_to_the_wanted_ones() -> None:
    assert with_earlier(values("b"), values("a")) == values("a", "b")


def test_large_values_do_not_crowd_out_small_ones_nor_earlier_ones_the_wanted() -> None:
    large = values(*(f"large-{number:03}" for number in range(300)), size=4096)
    found = with_earlier(large | values("small"), values("earlier"))
    assert "small" in found
    assert "earlier" not in found
    assert sum(len(value) for value in found.values()) <= 700_000
