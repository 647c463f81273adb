"""The same resources in another order."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ostiary_core.contract.bundle import GatewayConfig, fold_config, manifest_file
from ostiary_operator.compile.model import Compiled, Resources

T = TypeVar("T")


def shuffled(resources: Resources, seed: int) -> Resources:
    """The resources with every list, and every mapping that has no order of its own, in another order."""
    mix = _Mix(seed)
    return replace(
        resources,
        proxies=[mix.keys(item) for item in mix.items(resources.proxies)],
        policies=[mix.keys(item) for item in mix.items(resources.policies)],
        gateways=mix.items(resources.gateways),
        namespaces=mix.mapping(resources.namespaces),
        references=mix.mapping(resources.references),
    )


def shuffled_configs(configs: Mapping[str, GatewayConfig], seed: int) -> Mapping[str, GatewayConfig]:
    """Configs with gateways, entries and policies in another order."""
    mix = _Mix(seed)
    return mix.mapping(
        {
            name: replace(it, entries=mix.mapping(it.entries), policies=mix.mapping(it.policies))
            for name, it in configs.items()
        }
    )


def compiled_bytes(compiled: Compiled) -> tuple[Any, ...]:
    """Return everything that a compilation produced, with the configs as the bytes that are delivered."""
    bundles = {name: fold_config(config) for name, config in sorted(compiled.configs.items())}
    travelling = {name: (manifest_file(bundle), bundle.files) for name, bundle in bundles.items()}
    return travelling, list(compiled.configs), list(compiled.statuses.items()), compiled.problems


class _Mix:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  no secret

    def items(self, values: Any) -> list[Any]:
        return self._random.sample(list(values), len(values))

    def mapping(self, values: Mapping[str, T] | Mapping[Any, T]) -> dict[Any, T]:
        return dict(self.items(values.items()))

    def keys(self, value: Any) -> Any:
        """Objects with their fields in another order; lists stay, since in them order may mean something."""
        if isinstance(value, dict):
            return {key: self.keys(item) for key, item in self.items(value.items())}
        return value
