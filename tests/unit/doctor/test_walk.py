from ostiary_operator.doctor.chain import CHAIN, walk
from ostiary_operator.doctor.model import Case, Check, CheckResult, CheckState, Options, broken, ok
from ostiary_operator.doctor.report import Findings, as_object, line, verdict
from ostiary_operator.kube.errors import Forbidden, Unreachable
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.view.tables import plain


class Readable(FakeClient):
    """A cluster in memory, read only."""

    async def document(self, path: str) -> dict[str, object]:
        raise Unreachable(path)


def case() -> Case:
    return Case(Readable(), Options(), "default", "crm")


async def finds_it_well(case: Case) -> CheckResult:
    return ok(case.identity)


async def finds_it_broken(case: Case) -> CheckResult:
    return broken(f"{case.identity} is broken", "mend it\n kubectl get -n default mcpproxies")


async def may_not(case: Case) -> CheckResult:
    raise Forbidden("secrets are forbidden")


async def gets_no_answer(case: Case) -> CheckResult:
    raise Unreachable("no answer")


async def walked(*links: Check) -> Findings:
    return [found async for found in walk(case(), links)]


async def test_the_walk_ends_at_the_first_broken_link() -> None:
    links = (Check("a", finds_it_well), Check("b", finds_it_broken), Check("c", finds_it_well))
    assert [link.name for link, _ in await walked(*links)] == ["a", "b"]


async def test_what_may_not_be_looked_at_is_passed_over() -> None:
    (_, first), (_, second) = await walked(Check("a", may_not), Check("b", finds_it_well))
    assert (first.state, second.state) == (CheckState.UNKNOWN, CheckState.OK)
    assert "secrets are forbidden" in first.detail


async def test_an_api_server_that_goes_away_is_a_broken_link() -> None:
    ((_, found),) = await walked(Check("a", gets_no_answer), Check("b", finds_it_well))
    assert found.state is CheckState.BROKEN


async def test_a_command_of_a_remedy_stays_on_one_line() -> None:
    ((link, found),) = await walked(Check("config", finds_it_broken))
    told = line(link, found, plain)
    assert told.splitlines()[0].split() == ["broken", "config", "default/crm", "is", "broken"]
    assert told.splitlines()[-1].strip() == "kubectl get -n default mcpproxies"


async def test_programs_are_told_the_same() -> None:
    findings = await walked(Check("a", finds_it_well), Check("b", finds_it_broken))
    told = as_object("default/crm", findings)
    assert (told["proxy"], told["broken"]) == ("default/crm", "b")
    assert [link["state"] for link in told["links"]] == ["ok", "broken"]
    assert verdict(findings, plain) == "The first broken link: b.\n"


def test_no_two_links_have_one_name_and_none_is_too_long_for_its_column() -> None:
    names = [link.name for link in CHAIN]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 13


def test_a_token_is_not_in_what_options_say_of_themselves() -> None:
    assert "hunter2" not in repr(Options(bearer="hunter2"))
