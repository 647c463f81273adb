import pytest
from api_corpus import Case, cases

from ostiary_operator.api.load import InvalidResource, parse_lock, parse_policy, parse_proxy
from ostiary_operator.api.resources import LOCK_KIND, POLICY_KIND, PROXY_KIND

PARSERS = {PROXY_KIND: parse_proxy, POLICY_KIND: parse_policy, LOCK_KIND: parse_lock}
GOOD, BAD = cases("good"), cases("bad")


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_the_models_accept_a_good_manifest(case: Case) -> None:
    resource = PARSERS[case.kind](case.document)
    assert (resource.kind, resource.name) == (case.kind, case.document["metadata"]["name"])


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_the_models_refuse_a_bad_manifest_and_blame_its_field(case: Case) -> None:
    with pytest.raises(InvalidResource) as refused:
        PARSERS[case.kind](case.document)
    assert [problem.field for problem in refused.value.problems] == [case.field]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_every_refusal_has_a_message_of_the_gateway(case: Case) -> None:
    with pytest.raises(InvalidResource) as refused:
        PARSERS[case.kind](case.document)
    (problem,) = refused.value.problems
    assert problem.remedy
    assert "Input should" not in problem.message  # the message of pydantic
    assert "see the reference" not in problem.remedy


def test_the_corpus_covers_all_kinds_and_verdicts() -> None:
    assert len(GOOD) >= 25
    assert len(BAD) >= 60
    assert {case.kind for case in GOOD} == {case.kind for case in BAD} == set(PARSERS)
    assert all(case.field for case in BAD)


def test_every_file_of_the_corpus_is_a_manifest_of_its_folder() -> None:
    for case in (*GOOD, *BAD):
        assert case.name.startswith(f"{case.kind.lower()}/")
