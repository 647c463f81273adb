"""The chain of checks: where it ends, and how its results are shown."""

from ostiary_operator.doctor.chain import CHAIN, Results, as_object, line, run_checks, summary
from ostiary_operator.doctor.diagnosis import Case, Check, CheckResult, CheckState, Options, broken, ok
from ostiary_operator.kube.errors import Forbidden, Unreachable
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.view.tables import plain


class Readable(FakeClient):
    """A cluster in memory, read only."""

    async def document(self, path: str) -> dict[str, object]:
        raise Unreachable(path)


def case() -> Case:
    return Case(Readable(), Options(), "default", "crm")


async def succeeds(case: Case) -> CheckResult:
    return ok(case.identity)


async def fails(case: Case) -> CheckResult:
    return broken(f"{case.identity} is broken", "repair it\n kubectl get -n default mcpproxies")


async def is_forbidden(case: Case) -> CheckResult:
    raise Forbidden("secrets are forbidden")


async def gets_no_response(case: Case) -> CheckResult:
    raise Unreachable("no answer")


async def results_of(*checks: Check) -> Results:
    return [found async for found in run_checks(case(), checks)]


async def test_the_chain_ends_at_the_first_broken_link() -> None:
    checks = (Check("a", succeeds), Check("b", fails), Check("c", succeeds))
    assert [check.name for check, _ in await results_of(*checks)] == ["a", "b"]


async def test_a_check_without_the_right_is_unknown_and_the_next_one_runs() -> None:
    (_, first), (_, second) = await results_of(Check("a", is_forbidden), Check("b", succeeds))
    assert (first.state, second.state) == (CheckState.UNKNOWN, CheckState.OK)
    assert "secrets are forbidden" in first.detail


async def test_an_api_server_that_becomes_unreachable_is_a_broken_link() -> None:
    ((_, found),) = await results_of(Check("a", gets_no_response), Check("b", succeeds))
    assert found.state is CheckState.BROKEN


async def test_a_command_of_a_remedy_stays_on_one_line() -> None:
    ((check, found),) = await results_of(Check("config", fails))
    text = line(check, found, plain)
    assert text.splitlines()[0].split() == ["broken", "config", "default/crm", "is", "broken"]
    assert text.splitlines()[-1].strip() == "kubectl get -n default mcpproxies"


async def test_json_has_the_same_results() -> None:
    results = await results_of(Check("a", succeeds), Check("b", fails))
    text = as_object("default/crm", results)
    assert (text["proxy"], text["broken"]) == ("default/crm", "b")
    assert [link["state"] for link in text["links"]] == ["ok", "broken"]
    assert summary(results, plain) == "The first broken link: b.\n"


def test_no_two_links_have_one_name_and_none_is_too_long_for_its_column() -> None:
    names = [check.name for check in CHAIN]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 13
