import yaml
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.local.proxy_drafts.draft_text import ChangedLine, LineChange, difference, yaml_text


def test_lists_stand_behind_their_name_and_texts_of_several_lines_are_blocks() -> None:
    text = yaml_text([{"spec": {"description": "One\nTwo", "servers": [{"name": "a"}]}}, {"b": 1}])
    assert text == "spec:\n  description: |-\n    One\n    Two\n  servers:\n    - name: a\n---\nb: 1\n"


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=80), max_size=4))
def test_every_text_is_read_as_it_was(values: dict[str, str]) -> None:
    readable = {key: value.encode("utf-8", "replace").decode() for key, value in values.items()}
    assert yaml.safe_load(yaml_text([readable])) == readable


def test_a_shared_value_is_written_twice_and_not_as_an_alias() -> None:
    shared = {"name": "a"}
    assert "&" not in yaml_text([{"one": shared, "two": shared}])


def test_equal_texts_have_no_difference() -> None:
    assert difference("a\nb\n", "a\nb\n") == ()


def test_a_changed_line_is_removed_and_added_between_those_that_stay() -> None:
    assert difference("a\nb\nc\n", "a\nB\nc\n") == [
        ChangedLine(LineChange.KEPT, "a"),
        ChangedLine(LineChange.REMOVED, "b"),
        ChangedLine(LineChange.ADDED, "B"),
        ChangedLine(LineChange.KEPT, "c"),
    ]


def test_lines_far_from_any_change_are_counted() -> None:
    before = "".join(f"{number}\n" for number in range(20))
    lines = difference(before, before.replace("9\n", "nine\n", 1))
    assert [each.text for each in lines] == ["6 lines", "6", "7", "8", "9", "nine", "10", "11", "12", "7 lines"]


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_a_difference_holds_both_texts(before: list[str], after: list[str]) -> None:
    lines = difference("\n".join(before), "\n".join(after)) or [ChangedLine(LineChange.KEPT, each) for each in before]
    kept = sum(int(each.text.split()[0]) if each.change is LineChange.OMITTED else 1 for each in lines)
    added = [each.text for each in lines if each.change is LineChange.ADDED]
    removed = [each.text for each in lines if each.change is LineChange.REMOVED]
    assert kept - len(added) == len(before)
    assert kept - len(removed) == len(after)
