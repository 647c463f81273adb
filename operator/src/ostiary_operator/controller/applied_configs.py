"""The last config applied to each gateway: kept in memory, read back at the start.

It decides what stays in force when the newest version cannot be used, so only configs with a valid MAC are accepted.
"""

import logging
from collections.abc import Mapping

from ostiary_core.contract import key_names, revisions
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.manifest import Manifest
from ostiary_operator.api.objects import name_of
from ostiary_operator.delivery import reader, secret
from ostiary_operator.delivery.reader import Delivered
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot, GatewayObjects

_log = logging.getLogger(__name__)


class AppliedConfigs:
    """The last applied config of each gateway, by identity."""

    def __init__(self) -> None:
        self.configs: dict[str, GatewayConfig] = {}
        self._revisions: dict[str, int] = {}

    def refresh(self, snapshot: ClusterSnapshot, *, now: float) -> dict[str, str]:
        """Read configs that are new; return why others were ignored, by gateway.

        A config is new at the start, or when another replica wrote it since. ``now`` is in epoch seconds.
        """
        problems = {}
        for identity, gateway_objects in snapshot.gateway_objects.items():
            if gateway_objects.forbidden is not None:
                continue
            found = _manifest(identity, gateway_objects)
            if found.problem is None and self._is_news(identity, found, now=now):
                found = _whole(identity, gateway_objects)
                self._remember(identity, found)
            problem = found.problem or _misplaced(identity, gateway_objects) or _absurd(found, now=now)
            if problem is not None:
                problems[identity] = problem
        self._forget_others(snapshot.gateway_objects)
        return problems

    def accept(self, identity: str, config: GatewayConfig, manifest: Manifest) -> None:
        """Record a config that was put in force."""
        self.configs[identity] = config
        self._revisions[identity] = manifest.revision

    def _is_news(self, identity: str, found: Delivered, *, now: float) -> bool:
        # An older revision that was restored is ignored, although we signed it once. Where no revision is known,
        # any that we signed is accepted, even if a clock was wrong then: else all policies lose their last good one.
        if found.manifest is None or identity not in self._revisions:
            return found.manifest is not None
        return revisions.is_newer(found.manifest.revision, self._revisions[identity], now=now)

    def _remember(self, identity: str, found: Delivered) -> None:
        if found.manifest is not None and found.config is not None:
            self.accept(identity, found.config, found.manifest)

    def _forget_others(self, identities: Mapping[str, object]) -> None:
        for identity in self._revisions.keys() - identities.keys():
            del self._revisions[identity]
            self.configs.pop(identity, None)


def _misplaced(identity: str, gateway_objects: GatewayObjects) -> str | None:
    """Return which ConfigMap of a gateway contains keys; they belong in the Secret only."""
    for number, found in reader.numbered(identity.partition("/")[2], gateway_objects.config_maps).items():
        names = key_names.misplaced((found.get("data") or {}).keys() | (found.get("binaryData") or {}).keys())
        if names:
            what = f"ConfigMap {name_of(found)}, part {number}, holds {key_names.first_few(names)}"
            return f"{what}: keys belong in the Secret only"
    return None


def _absurd(found: Delivered, *, now: float) -> str | None:
    if found.manifest is None or not revisions.is_absurd(found.manifest.revision, now=now):
        return None
    return f"its revision {found.manifest.revision} is more than a day ahead of this operator's clock"


def _manifest(identity: str, gateway_objects: GatewayObjects) -> Delivered:
    first = reader.numbered(identity.partition("/")[2], gateway_objects.config_maps).get(0)
    return reader.read_manifest(reader.files_of(first), _mac_keys(gateway_objects), gateway=identity)


def _whole(identity: str, gateway_objects: GatewayObjects) -> Delivered:
    files = reader.all_files(reader.numbered(identity.partition("/")[2], gateway_objects.config_maps))
    return reader.read(files, _mac_keys(gateway_objects), gateway=identity)


def _mac_keys(gateway_objects: GatewayObjects) -> dict[str, bytes]:
    return secret.parse_secret(gateway_objects.secret).mac_keys()
