from ostiary_tools.cluster import port_assignment, workloads

PORTS = port_assignment.Ports(data=(8080, 8090), admin=(8081, 8091), mock=7878, operator=8082)


def test_loopback_is_granted_and_the_url_is_that_of_the_first_replica() -> None:
    settings = workloads.chart_values(PORTS, {})["gatewayDefaults"]["settings"]
    assert settings["externalURL"] == "http://localhost:8080"
    assert settings["grants"][0]["addresses"] == ["127.0.0.0/8", "::1/128"]


def test_further_values_are_added_and_win() -> None:
    settings = {"tenancy": "Multi", "externalURL": "http://a"}
    further = {"gatewayDefaults": {"settings": settings}, "watchNamespaces": ["sales"]}
    values = workloads.chart_values(PORTS, further)
    assert values["watchNamespaces"] == ["sales"]
    assert values["gatewayDefaults"]["replicas"] == 2
    assert values["gatewayDefaults"]["settings"].keys() == {"externalURL", "grants", "tenancy"}
    assert values["gatewayDefaults"]["settings"]["externalURL"] == "http://a"


def test_a_list_replaces_a_list() -> None:
    assert workloads.merged_values({"a": [1], "b": {"c": 1}}, {"a": [2], "b": {}}) == {"a": [2], "b": {"c": 1}}
