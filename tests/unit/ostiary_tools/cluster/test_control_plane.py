"""The kubeconfig that a control plane writes."""

import yaml

from ostiary_tools.cluster import control_plane


def test_a_kubeconfig_stands_alone() -> None:
    text = control_plane.render_kubeconfig(
        url="https://127.0.0.1:1", authority=b"PEM", token="t", user="me", namespace="ns"
    )
    config = yaml.safe_load(text)
    assert config["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": "UEVN",
    }
    assert config["contexts"][0]["context"]["namespace"] == "ns"
    assert config["current-context"] == config["contexts"][0]["name"]
