import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_operator.api.patterns import check_together, defect
from ostiary_operator.api.policy import Access
from ostiary_operator.api.proxy import NameSelection

#: Each is as large as a single expression may be, or nearly so.
LARGE = [r"\pL{2}", "(.{0,12}){20}", ".{0,100}.{0,100}", "(a{0,900})(a{0,400})", r"[^\x00-\x{ffff}]{400}", ".{250}"]


@pytest.mark.parametrize("pattern", ["a", "(?i)read_.*", r"\Q*.*", "(?P<a>x)(?P<a>y)", "x{1000}", *LARGE])
def test_what_the_gateway_can_run_is_no_defect(pattern: str) -> None:
    assert defect(pattern) is None
    NameMatcher.build(None, [pattern])


@pytest.mark.parametrize("pattern", [r"\pL{100}", "(a{0,1000})" * 23, ".{1000}" * 36])
def test_a_short_expression_can_be_too_large(pattern: str) -> None:
    assert len(pattern) <= 256
    assert "too large" in (defect(pattern) or "")


@pytest.mark.parametrize("pattern", [r"\C", r"a\C", r"\\\C", "(?P<é>a)", "(?<a-b>c)"])
def test_what_the_api_server_refuses_is_a_defect_here(pattern: str) -> None:
    assert defect(pattern)


def test_an_escaped_backslash_before_a_c_is_no_half_character() -> None:
    assert defect(r"\\C") is None


def test_names_that_do_not_fit_into_one_matcher_are_refused_together() -> None:
    names = [f"{'*é' * 254}{index:03d}" for index in range(128)]
    with pytest.raises(PydanticCustomError, match="more than 8192 characters in all"):
        check_together(names, None)


@pytest.mark.parametrize("pattern", LARGE)
def test_patterns_that_do_not_fit_into_one_matcher_are_refused_together(pattern: str) -> None:
    with pytest.raises(PydanticCustomError, match="too large together"):
        check_together(None, [f"{index:02d}{pattern}" for index in range(32)])


@pytest.mark.parametrize("star", ["é*", "*é", "*"])
def test_names_that_are_not_even_tried_always_fit(star: str) -> None:
    check_together([star * (512 // len(star))], None)
    NameMatcher.build([star * (512 // len(star))], None)


def test_too_many_patterns_in_a_policy_are_refused_before_any_is_compiled() -> None:
    patterns = ["(" + str(index) for index in range(20)]
    rules = [{"name": f"r{index}", "effect": "Deny", "tools": {"patterns": patterns}} for index in range(13)]

    with pytest.raises(ValidationError, match="holds more than 256 patterns"):
        Access.model_validate({"rules": rules})
    with pytest.raises(ValidationError, match=r"missing \)"):
        Access.model_validate({"rules": rules[:12]})


def test_patterns_are_compiled_until_they_weigh_too_much_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_one = re2.compile

    def counted(text: str, *options: object) -> object:
        compiled.append(text)
        return compile_one(text, *options)

    monkeypatch.setattr(re2, "compile", counted)
    rules = [
        {"name": f"r{index}", "effect": "Deny", "tools": {"patterns": [f"{index}(a{{0,900}})(a{{0,400}})"]}}
        for index in range(200)
    ]

    with pytest.raises(ValidationError, match="compile to more than 8192 instructions"):
        Access.model_validate({"rules": rules})
    assert len(compiled) < 10


def test_names_with_an_inner_star_are_counted_before_any_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    monkeypatch.setattr(re2, "compile", lambda *arguments: compiled.append(arguments))
    names = [f"{'b*' * 100}{index}x" for index in range(64)]
    rules = [{"name": f"r{index}", "effect": "Deny", "tools": {"names": names}} for index in range(64)]

    with pytest.raises(ValidationError, match="than at one end of more than 16384 characters in all"):
        Access.model_validate({"rules": rules})
    with pytest.raises(ValidationError, match="than at one end of more than 8192 characters in all"):
        NameSelection.model_validate({"include": names})
    assert compiled == []


def test_names_with_a_star_at_one_end_cost_nothing_however_many() -> None:
    names = [f"{'b' * 100}{index}*" for index in range(128)]
    rules = [{"name": f"r{index}", "effect": "Deny", "tools": {"names": names}} for index in range(64)]

    assert len(Access.model_validate({"rules": rules}).rules) == 64


def test_one_pattern_that_is_too_large_is_named_by_its_place() -> None:
    rule = {"name": "r", "effect": "Deny", "tools": {"patterns": ["a", r"\pL{100}"]}}

    with pytest.raises(ValidationError, match="is too large an expression") as found:
        Access.model_validate({"rules": [rule]})
    assert found.value.errors()[0]["ctx"]["below"] == ("rules", 0, "tools", "patterns", 1)


@given(st.text(max_size=256))
def test_no_text_crashes_the_check(pattern: str) -> None:
    reason = defect(pattern)
    assert reason is None or reason
