import pytest

from ostiary_operator.compile.backends import LONGEST_CHAIN, ServiceChain, follow_chain, service_of, spellings
from ostiary_operator.compile.model import NamespaceServices, Service


@pytest.mark.parametrize(
    "host",
    [
        "crm.sales.svc",
        "crm.sales.svc.",
        "CRM.Sales.SVC",
        "crm.sales.svc.cluster.local",
        "crm.sales.svc.cluster.local.",
        "pod-0.crm.sales.svc",
        "_http._tcp.crm.sales.svc.cluster.local",
    ],
)
def test_all_names_that_the_clusters_dns_gives_a_service_are_that_service(host: str) -> None:
    assert service_of(host) == ("sales", "crm")


@pytest.mark.parametrize(
    "host",
    [
        *("", ".", "svc", "sales.svc", "crm", "crm.sales", "crm.sales.svc.corp.local", "crm.sales.svc.example.com"),
        *("10-0-0-9.sales.pod.cluster.local", "crm..svc", ".sales.svc", "10.0.0.9", "::1", "crm.sales.svc.."),
        "crm.sales.svc.cluster.local.cluster.local",
    ],
)
def test_what_could_be_a_name_elsewhere_is_no_service(host: str) -> None:
    assert service_of(host) is None


def test_a_service_may_be_granted_by_either_of_its_long_names_and_any_other_host_as_it_is() -> None:
    assert spellings("crm.sales.svc.cluster.local.") == ("crm.sales.svc", "crm.sales.svc.cluster.local")
    assert spellings("API.example.com.") == ("api.example.com",)


def test_a_chain_of_aliases_is_followed_only_so_far() -> None:
    aliases = {f"a{n}": Service(external_name=f"a{n + 1}.sales.svc") for n in range(LONGEST_CHAIN)}
    services = {"sales": NamespaceServices(aliases)}
    assert (
        follow_chain(service_of("a1.sales.svc") or pytest.fail("a Service"), services).last.name == f"a{LONGEST_CHAIN}"
    )
    assert follow_chain(service_of("a0.sales.svc") or pytest.fail("a Service"), services).endless


def test_an_unknown_service_ends_the_chain() -> None:
    start = service_of("crm.sales.svc") or pytest.fail("a Service")
    assert follow_chain(start, {}) == ServiceChain((start,))
