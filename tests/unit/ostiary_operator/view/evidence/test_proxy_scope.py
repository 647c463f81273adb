"""Of which proxies evidence is wanted, as parameters of requests."""

from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficPart, TrafficQuery

ALL = ProxyScope()


def test_named_proxies_are_asked_for_in_requests_of_so_many_as_one_may_name() -> None:
    names = [f"sales/p{number:03}" for number in range(130)]
    parameters = ProxyScope.of(names).parameters()
    assert [len(each) for each in parameters] == [64, 64, 2]
    assert [value for each in parameters for _, value in each] == names


def test_all_proxies_need_one_request_without_names_and_none_at_all_need_no_request() -> None:
    assert ALL.parameters() == [[]]
    assert ProxyScope.of([]).parameters() == []


def test_a_gateway_of_a_namespace_is_asked_for_nothing_else() -> None:
    assert ALL.parameters("sales") == [[("namespace", "sales")]]
    assert ProxyScope.of(["sales/crm", "hr/files"]).parameters("sales") == [[("proxy", "sales/crm")]]
    assert ProxyScope.of(["hr/files"]).parameters("sales") == []


def test_a_scope_covers_what_it_names() -> None:
    assert ALL.covers("sales/crm")
    assert not ProxyScope.of(["hr/files"]).covers("sales/crm")


def test_a_sum_is_one_answer_without_a_name() -> None:
    wanted = TrafficQuery(ProxyScope.of(["sales/crm"]), 900, (TrafficPart.TOTAL,), is_sum=True)
    assert wanted.parameters() == [[("proxy", "sales/crm"), ("parts", "total"), ("range", "900"), ("sum", "true")]]
    assert (wanted.covers(""), wanted.covers("sales/crm")) == (True, False)
