from ostiary_core.mcp.methods import VERBS, Primitive
from ostiary_operator.api.conditions import Condition
from ostiary_operator.api.name_selections import PromptVerb, ResourceVerb, ToolVerb
from ostiary_operator.api.status import PolicyStatus, ProxyStatus


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
