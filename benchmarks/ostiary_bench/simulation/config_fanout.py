"""Compiles a fleet, cuts the configs into parts, and edits one policy: time, memory and bytes of each.

It runs the operator's compiler and delivery in a process of its own, whose memory is the kernel's account of it.
``python -m ostiary_bench.simulation.config_fanout --proxies 1000 --gateways 10`` prints one point as JSON.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from ostiary_bench import meters
from ostiary_bench.simulation.fleet import Fleet
from ostiary_core.contract.bundle import Bundle, GatewayConfig, fold_config, stamp
from ostiary_core.contract.parts import MAX_PARTS, Packer
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_operator.compile.model import Resources
from ostiary_tools.common.errors import ToolError

_NAMESPACE: Final = "ostiary-system"
#: A ConfigMap holds compressed files as base64.
_BASE64: Final = 4 / 3
_SECONDS: Final = 900
_KEY: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class ConfigFanout:
    """What the config of a fleet costs.

    ``first`` and ``again`` are seconds of a pass with nothing known, and after an edit of one policy; ``memory`` is
    that of the compiling process, in MiB. ``largest`` is the config of the largest gateway in bytes as it is stored,
    ``parts`` and ``head`` its number of ConfigMaps and the bytes of the one with the manifest, ``total`` all configs
    together. ``edited`` are the bytes that change for one edit, in ``objects`` ConfigMaps of ``touched`` gateways.
    """

    proxies: int
    gateways: int
    first: float
    again: float
    memory: float
    largest: int
    parts: int
    head: int
    total: int
    edited: int
    objects: int
    touched: int

    @property
    def fits(self) -> bool:
        """Whether each gateway's config fits into its ConfigMaps."""
        return self.parts <= MAX_PARTS


def measure(fleet: Fleet) -> ConfigFanout:
    """Measure one point in a process of its own.

    Raises:
        ToolError: it failed, or took too long.
    """
    print(f"  {fleet.proxies:,} MCPProxies at {fleet.gateways} gateways", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", __spec__.name, "--proxies", str(fleet.proxies), "--gateways", str(fleet.gateways)]
    try:
        found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.SubprocessError as error:
        raise ToolError(f"the simulation of {fleet} failed: {getattr(error, 'stderr', None) or error}") from error
    return ConfigFanout(**json.loads(found.stdout))


def compiled(fleet: Fleet) -> ConfigFanout:
    """Compile a fleet in this process, edit a policy, and compile again."""
    cache, packers = Cache(), [Packer() for _ in range(fleet.gateways)]
    resources = resources_from_objects(fleet.objects(), _NAMESPACE)
    times, bundles = [], []
    for each in (resources, _edited(resources, fleet.edited(0))):
        began = time.process_time()
        bundles.append(_folded(compile_resources(each, {}, cache=cache).configs, packers))
        times.append(time.process_time() - began)
    return _point(fleet, *bundles, first=times[0], again=times[1])


def _edited(resources: Resources, policy: dict[str, Any]) -> Resources:
    """Return what the next pass of the operator lists: one policy is another, and everything else is as it was."""
    uid = policy["metadata"]["uid"]
    return replace(resources, policies=[policy if it["metadata"]["uid"] == uid else it for it in resources.policies])


def _folded(configs: Mapping[str, GatewayConfig], packers: list[Packer]) -> dict[str, Bundle]:
    found = {
        identity: stamp(fold_config(configs[identity], packer=packer), revision=1, key_name="k", key=_KEY)
        for identity, packer in zip(sorted(configs), packers, strict=True)
    }
    for packer in packers:
        packer.end_config()
    return found


def _point(
    fleet: Fleet, before: Mapping[str, Bundle], after: Mapping[str, Bundle], *, first: float, again: float
) -> ConfigFanout:
    sizes = {identity: sum(map(_size, bundle.files)) + _size(bundle.head) for identity, bundle in before.items()}
    largest = max(sizes, key=sizes.__getitem__)
    changed = [_changed(before[identity], after[identity]) for identity in before]
    return ConfigFanout(
        proxies=fleet.proxies,
        gateways=fleet.gateways,
        first=first,
        again=again,
        memory=meters.peak_mebibytes(),
        largest=sizes[largest],
        parts=len(before[largest].files),
        head=_size(before[largest].head) + _size(before[largest].files[0]),
        total=sum(sizes.values()),
        edited=sum(map(sum, changed)),
        objects=sum(map(len, changed)),
        touched=sum(map(bool, changed)),
    )


def _changed(before: Bundle, after: Bundle) -> list[int]:
    """Return the sizes of the ConfigMaps that an edit writes: each part that differs, and the one with the manifest."""
    found = [_size(new) for old, new in zip(before.files[1:], after.files[1:], strict=True) if old != new]
    if found or before.files[0] != after.files[0]:
        found.append(_size(after.head) + _size(after.files[0]))
    return found


def _size(files: Mapping[str, bytes]) -> int:
    return round(sum(len(data) * (_BASE64 if name.endswith(".gz") else 1) for name, data in files.items()))


def main() -> int:
    """Print one point as JSON; return the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__)
    parser.add_argument("--proxies", type=int, default=1000)
    parser.add_argument("--gateways", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(asdict(compiled(Fleet(options.proxies, options.gateways)))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
