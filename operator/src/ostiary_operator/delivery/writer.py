"""Writes configs, keys and credentials of gateways to the cluster."""

import asyncio
import os
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Final

from ostiary_core.contract.bundle import GatewayConfig, fold_config
from ostiary_core.contract.manifest import Manifest
from ostiary_core.contract.parts import Packer
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api.objects import Object, name_of, namespace_of
from ostiary_operator.clock import Clock
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.delivery import plan, reader, secret
from ostiary_operator.delivery.credentials import Credentials, needed
from ostiary_operator.delivery.secret import Keys, RandomBytes
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.cluster_snapshot import GatewayObjects
from ostiary_operator.kube.kinds import Kind
from ostiary_operator.worker_thread import compute


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """A config in force: its manifest, the admin port's bearer token, and the objects written.

    ``prunable`` is set where documents or credentials wait to be pruned until every replica runs the manifest.
    """

    manifest: Manifest
    admin_token: SecretBytes
    wrote: tuple[str, ...]
    prunable: bool


OnWrite = Callable[[Kind, Object], None]
"""Called with each object that is about to be written."""


_NO_CREDENTIALS: Final[Credentials] = {}


def _ignore(_kind: Kind, _body: Object) -> None:
    pass


class ConfigWriter:
    """Writes the config of each gateway. ``random`` creates key material."""

    def __init__(
        self, cluster: KubernetesClient, clock: Clock, *, random: RandomBytes = os.urandom, on_write: OnWrite = _ignore
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._random = random
        self._on_write = on_write
        self._floors: dict[str, int] = {}
        self._packers: dict[str, Packer] = {}

    async def deliver(
        self,
        gateway: DiscoveredGateway,
        config: GatewayConfig,
        gateway_objects: GatewayObjects,
        *,
        acknowledged: int | None,
        credentials: Credentials = _NO_CREDENTIALS,
        traceparent: str | None = None,
    ) -> AppliedConfig:
        """Bring one gateway's ConfigMaps and Secret to the desired state.

        ``acknowledged`` is the revision that every ready replica runs, if there is one. ``credentials`` are the values
        that were read from users' Secrets; those that the config names are written. ``traceparent`` is the trace
        context of the change, for a new revision.

        Raises:
            ContractError: the config is too large.
            Conflict: an object changed meanwhile; list again.
            ClusterError: a write failed; the writes before it are done, and the old config is still complete.
        """
        keys = self._keys(config, gateway_objects, credentials)
        # In the worker thread: serialising thousands of documents would block the event loop.
        ours = await compute(self._plan, gateway, config, keys, gateway_objects, acknowledged, traceparent)
        self._floors[gateway.identity] = ours.manifest.revision
        for step in ours.steps:
            # In parallel: in sequence it would take many times as long where the API server is busy.
            results = await asyncio.gather(*(self._write(write) for write in step), return_exceptions=True)
            for failure in filter(None, results):
                raise failure
        token = keys.admin_token or SecretBytes(b"")  # `renewed` makes one
        return AppliedConfig(ours.manifest, token, tuple(plan.what(each) for each in ours.writes), ours.prunable)

    def keep_only(self, identities: Container[str]) -> None:
        """Forget the state of all other gateways."""
        self._floors = {identity: floor for identity, floor in self._floors.items() if identity in identities}
        self._packers = {identity: packer for identity, packer in self._packers.items() if identity in identities}

    def _keys(self, config: GatewayConfig, gateway_objects: GatewayObjects, supplied: Credentials) -> Keys:
        max_age = config.settings.bounds.session_max_age / 1000
        found = secret.parse_secret(gateway_objects.secret)
        keys = secret.renewed(found, now=self._clock.time(), session_max_age=max_age, random=self._random)
        return replace(keys, credentials=needed(config.secrets(), supplied=supplied, delivered=found.credentials))

    def _plan(
        self,
        gateway: DiscoveredGateway,
        config: GatewayConfig,
        keys: Keys,
        gateway_objects: GatewayObjects,
        acknowledged: int | None,
        traceparent: str | None,
    ) -> plan.Plan:
        config_maps = reader.numbered(gateway.name, gateway_objects.config_maps)
        # Verified with the Secret in the cluster: a key that was only just created has signed nothing.
        mac_keys = secret.parse_secret(gateway_objects.secret).mac_keys()
        files = reader.all_files(config_maps)
        manifest = reader.read_manifest(files, mac_keys, gateway=gateway.identity).manifest
        packer = self._packers.setdefault(gateway.identity, Packer())
        floor = self._floors.get(gateway.identity, 0)
        bundle = plan.stamped(
            fold_config(config, packer=packer),
            manifest,
            keys,
            now=self._clock.time(),
            floor=floor,
            files=files,
            traceparent=traceparent,
        )
        current = plan.Current(
            config_maps,
            gateway_objects.secret,
            manifest,
            gateway_objects.evidence_secret,
            gateway_objects.may_share_evidence,
        )
        return plan.make_plan(gateway, bundle, keys, current, acknowledged=acknowledged == bundle.manifest.revision)

    async def _write(self, write: plan.Write) -> None:
        self._on_write(write.kind, write.body)
        written = await self._cluster.apply(write.kind, write.body, manager=write.manager)
        foreign = plan.foreign_keys(write.body, written)
        if foreign:  # server-side apply keeps what others added; only our content belongs here
            body = {"metadata": {"resourceVersion": written["metadata"]["resourceVersion"]}, **foreign}
            await self._cluster.patch(write.kind, body, name=name_of(written), namespace=namespace_of(written))
