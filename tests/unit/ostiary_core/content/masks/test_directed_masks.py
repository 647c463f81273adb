"""One search says that a message holds nothing: it never says so where the thorough way finds something."""

import orjson
import pytest
from compiled_masks import mask
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core import strict_json
from ostiary_core.content.masks.directed_masks import DirectedMasks
from ostiary_core.contract.masks import DetectedKind
from ostiary_core.errors import StrictJSONError

ALL = DirectedMasks([mask(*({"kind": kind.value} for kind in DetectedKind))])
#: What hides a value from a search in the bytes, or is a value.
TRAITS = [
    "4111 1111 1111 1111", "4111\\u00201111 1111 1111", "4111%201111", "\uff14111 1111 1111 1111", "a@b.example",
    "41\u200b11 1111 1111 1111", "data:text/plain;base64,NDExMQ==", '"},{"type":"text","text":"1111', "\\n", "\\\\",
    '","mimeType":"text/plain","blob":"NDExMQ==', "\x7f", "token: ", "123-45-6789", "plain words",
]  # fmt: skip
NUMBERS = ["1", "-0.5", "1e5", "1e+30", "4.111111111111111e15", "1e999", "123456789012345678901234567890", "1E+400"]


@given(st.lists(st.sampled_from(TRAITS), max_size=4), st.sampled_from(NUMBERS))
def test_what_one_search_clears_the_thorough_search_clears_too(traits: list[str], number: str) -> None:
    text = f'{{"content":[{{"type":"text","text":"{"".join(traits)}"}}],"n":{number}}}'.encode()
    if ALL.holds_nothing(text):
        assert not ALL.may_match_json(text)
        try:
            assert strict_json.loads_tame(text) == strict_json.loads(text)
        except StrictJSONError:
            with pytest.raises(StrictJSONError):
                strict_json.loads_tame(text)


@pytest.mark.parametrize("number", NUMBERS[4:])
def test_a_number_that_must_be_looked_at_is_not_cleared(number: str) -> None:
    assert not ALL.holds_nothing(b'{"n":%s}' % number.encode())


@pytest.mark.parametrize(
    "values", ['["x9zq-hunter2-X9zq"]', '[{"a": 1}, "x9zq-hunter2-X9zq"]', '[null, ["x9zq-hunter2-X9zq"]]']
)
def test_a_value_in_a_list_that_its_key_explains_is_not_cleared(values: str) -> None:
    text = b'{"password": %s}' % values.encode()
    assert not ALL.holds_nothing(text)
    assert ALL.may_match_json(text)
    assert not ALL.holds_nothing(orjson.dumps({"text": text.decode()}))


def test_ordinary_words_are_cleared() -> None:
    words = 'The customer\'s data was sent on Tuesday 14,\nand the "note" was read. ' * 20
    assert ALL.holds_nothing(orjson.dumps({"content": [{"type": "text", "text": words}], "n": 1.5}))
