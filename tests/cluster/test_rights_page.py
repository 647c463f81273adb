"""The page of rights lists exactly the rights that the chart requests."""

import re

import pytest
from charts import CASES, values

from ostiary_tools.generate import rights

PAGE = rights.PAGE.read_text()


def test_the_page_is_what_the_chart_asks_for() -> None:
    assert rights.render() == PAGE, "run: make generate"


@pytest.mark.parametrize("case", CASES)
def test_no_values_bring_a_right_that_is_not_on_the_page(case: str) -> None:
    explained = {
        (frozenset(re.findall(r"`([^`]+)`", resources)), verb)
        for resources, verbs in re.findall(r"^\| `[^|]+ \| ([^|]+) \| [^|]* \| ([^|]+) \|", PAGE, re.MULTILINE)
        for verb in verbs.split(", ")
    }
    for role in rights.rules(("-f", values(case))):
        for rule in role["rules"]:
            for verb in rule["verbs"]:
                assert (frozenset(rule["resources"]), verb) in explained, f"{role['metadata']['name']}: {rule}"


def test_there_is_no_wildcard() -> None:
    for role in rights.rules():
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
