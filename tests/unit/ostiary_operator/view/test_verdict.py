from typing import Any

from ostiary_operator.api.status import AcceptedReason, ConditionType
from ostiary_operator.view import rows


def resource(*conditions: tuple[str, str, str], generation: int = 2, message: str = "said so") -> dict[str, Any]:
    told = [
        {"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation}
        for kind, status, reason in conditions
    ]
    return {"metadata": {"generation": 2}, "status": {"conditions": told}}


def test_the_first_cause_is_reported_and_not_the_summary() -> None:
    judged = rows.of(
        resource(
            ("Ready", "False", "PathConflict"),
            ("Programmed", "False", "NotAccepted"),
            ("Accepted", "False", "PathConflict"),
        )
    )
    assert (judged.status, judged.reason, judged.message) == ("False", "PathConflict", "said so")
    assert judged.remedy == AcceptedReason.PATH_CONFLICT.remedy


def test_a_condition_of_an_older_generation_is_ignored() -> None:
    judged = rows.of(resource(("Ready", "True", "Ready"), generation=1))
    assert (judged.status, judged.reason, judged.ready) == ("Unknown", "Pending", False)


def test_an_object_without_status_is_not_ready() -> None:
    assert rows.of({"metadata": {"generation": 1}}).status == "Unknown"


def test_a_reason_of_another_version_has_no_remedy_and_breaks_nothing() -> None:
    judged = rows.condition(resource(("Accepted", "False", "Novel")), ConditionType.ACCEPTED)
    assert (judged.reason, judged.remedy) == ("Novel", "")


def test_a_message_cannot_rewrite_the_terminal() -> None:
    told = resource(("Accepted", "False", "Invalid"), message="\x1b[2Jgone\u202e")
    assert "\x1b" not in rows.of(told).message
    assert "\u202e" not in rows.of(told).message
