import pytest

from ostiary_core.mcp.methods import VERBS, Primitive
from ostiary_core.upstream_faults import KINDS, NOT_OF_THE_SERVER
from ostiary_operator.api.policy import PromptVerb, ResourceVerb, ToolVerb
from ostiary_operator.api.reason import Reason
from ostiary_operator.api.status import (
    REASONS,
    AcceptedReason,
    Condition,
    ConditionType,
    PolicyStatus,
    ProxyStatus,
)
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason

ALL = [reason for kind in REASONS.values() for reason in kind]


def test_every_condition_type_has_its_reasons() -> None:
    assert set(REASONS) == set(ConditionType)


@pytest.mark.parametrize("condition", list(ConditionType))
def test_the_positive_reason_has_the_name_of_the_condition(condition: ConditionType) -> None:
    assert str(condition) in [str(reason) for reason in REASONS[condition]]
    assert "Pending" in [str(reason) for reason in REASONS[condition]]


def test_the_reasons_of_a_servers_health_are_the_kinds_of_fault_that_it_can_have() -> None:
    of_itself = {"UpstreamHealthy", "Pending", "NoTraffic"}
    assert {str(reason) for reason in UpstreamHealthyReason} - of_itself == KINDS - NOT_OF_THE_SERVER


@pytest.mark.parametrize("reason", ALL, ids=lambda reason: f"{type(reason).__name__}.{reason}")
def test_every_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    assert reason.isidentifier()
    assert reason[0].isupper()
    assert reason.meaning.endswith(".")
    assert reason.remedy.endswith(".")


def test_a_reason_is_its_word() -> None:
    assert AcceptedReason["PATH_CONFLICT"] is AcceptedReason.PATH_CONFLICT
    assert AcceptedReason.PATH_CONFLICT.value == "PathConflict"
    assert f"{AcceptedReason.PATH_CONFLICT}" == "PathConflict"


def test_a_status_is_written_with_the_names_of_kubernetes() -> None:
    status = ProxyStatus.model_validate(
        {
            "observedGeneration": 3,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "observedGeneration": 3,
                    "lastTransitionTime": "2026-11-21T08:00:00Z",
                    "reason": "Ready",
                    "message": "",
                }
            ],
        }
    )
    (condition,) = status.document()["conditions"]
    assert condition["lastTransitionTime"] == "2026-11-21T08:00:00Z"
    assert list(Condition.model_fields) == [
        "type",
        "status",
        "observed_generation",
        "last_transition_time",
        "reason",
        "message",
    ]


def test_an_empty_status_is_valid() -> None:
    assert ProxyStatus().document() == PolicyStatus().document() == {}


def test_the_verbs_of_the_api_are_the_verbs_of_the_method_table() -> None:
    verbs = {Primitive.TOOLS: ToolVerb, Primitive.RESOURCES: ResourceVerb, Primitive.PROMPTS: PromptVerb}
    assert {p: tuple(map(str, kind)) for p, kind in verbs.items()} == {p: tuple(map(str, v)) for p, v in VERBS.items()}
