"""`ostiary would-deny` shows what Shadow policies would have stopped, and what would allow it."""

import functools
import json
from typing import Any

import pytest
import yaml
from evidence_replicas import NOW, AskReplicas, StartReplica, answers, head


@pytest.fixture
def ask(ask_replicas: AskReplicas) -> AskReplicas:
    return functools.partial(ask_replicas, "would-deny")


def refusal(count: int, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "proxy": "sales/crm",
        "method": "tools/call",
        "name": "delete_user",
        "principal": "sales/support-agent",
    }
    found |= {"policy": "sales/rules", "rule": "no-deletes", "reason": "Denied", "isShadow": True}
    return found | {"count": count, "first": NOW - 9, "last": NOW} | more


async def test_what_two_replicas_would_have_denied_is_added_up_by_rule_name_and_principal(
    start: StartReplica, ask: AskReplicas
) -> None:
    a = await start(answers(head(refusals=[refusal(2), refusal(9, isShadow=False)])), "a")
    b = await start(answers(head(refusals=[refusal(3)])), "b")
    done = await ask(admin=(a.admin.url, b.admin.url))
    rows = [line.split() for line in done.out.splitlines()]
    assert ["sales/rules:", "no-deletes", "5"] in rows
    assert ["delete_user", "5"] in rows
    assert any(row[-1:] == ["5"] and "support-agent" in row[0] for row in rows)


async def test_policies_that_allow_it_are_yaml_and_nothing_else(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(head(refusals=[refusal(2, rule="", reason="NotAllowed"), refusal(4)])))
    done = await ask("--allow", admin=(port.admin.url,))
    (policy,) = yaml.safe_load_all(done.out)
    assert (policy["kind"], policy["metadata"]["namespace"]) == ("MCPPolicy", "sales")
    assert "delete_user" in done.out
    assert "4 of them no further rule would allow: a Deny rule matches" in done.err


async def test_programs_get_the_report_with_the_refusals(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(head(refusals=[refusal(2)], forgotten=4)))
    found = json.loads((await ask("-o", "json", admin=(port.admin.url,))).out)
    assert (found["count"], found["forgotten"], found["refusals"][0]["isShadow"]) == (2, 4, True)
    assert found["evidence"]["answered"] == 1


async def test_where_there_is_nothing_it_says_so(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(head(refusals=[])))
    done = await ask("crm", "-n", "sales", admin=(port.admin.url,))
    assert done.out == "no policy in Shadow mode would have denied anything of MCPProxy sales/crm\n"
