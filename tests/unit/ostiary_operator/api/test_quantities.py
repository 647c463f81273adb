import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.api.quantities import Size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1048576", 2**20), ("4Mi", 2**22), ("512Ki", 2**19), ("1Gi", 2**30), ("1k", 1000), ("2G", 2 * 10**9)],
)
def test_a_size_has_the_units_of_kubernetes(text: str, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize("text", ["", "Mi", "1.5Mi", "-1", "1m", "1 Mi", "1mi", "4MB", "4Mi\n", "1" * 16])
def test_what_is_no_whole_number_of_bytes_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        Size.parse(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (1023, "1023"), (4096, "4Ki"), (2**20 * 3, "3Mi"), (2**30, "1Gi")]
)
def test_a_size_prints_itself_with_the_largest_unit(size: int, text: str) -> None:
    assert str(Size(size)) == text


@given(st.integers(0, 10**15 - 1))
def test_what_is_printed_is_read_back(size: int) -> None:
    assert Size.parse(str(Size(size))) == size
