from ostiary_tools.toolchain.go_module import KUBERNETES, render, staging_modules

TAGGED = {
    "Go": "1.26.0",
    "GoDebug": [{"Key": "default", "Value": "go1.26"}],
    "Require": [
        {"Path": "k8s.io/client-go", "Version": "v0.0.0"},
        {"Path": "k8s.io/klog/v2", "Version": "v2.140.0"},
        {"Path": "k8s.io/api", "Version": "v0.0.0"},
    ],
}


def test_only_modules_without_a_version_of_their_own_are_staging_modules() -> None:
    assert staging_modules(TAGGED) == ["k8s.io/api", "k8s.io/client-go"]


def test_staging_modules_are_replaced_by_the_release_of_the_same_number() -> None:
    release = "v0." + KUBERNETES.split(".", 1)[1]
    assert f"replace (\n\tk8s.io/api => k8s.io/api {release}\n" in render(TAGGED)


def test_the_language_version_and_its_switches_are_those_of_kubernetes() -> None:
    assert "\n\ngo 1.26.0\n\ngodebug default=go1.26\n\n" in render(TAGGED)


def test_a_go_mod_without_switches_is_rendered_without() -> None:
    assert "godebug" not in render(TAGGED | {"GoDebug": None})
