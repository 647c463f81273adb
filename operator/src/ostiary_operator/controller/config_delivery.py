"""The stage of a pass that puts the configs of all gateways in force."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.manifest import Manifest
from ostiary_core.errors import ContractError
from ostiary_operator.clock import Clock
from ostiary_operator.compile import gateways
from ostiary_operator.compile.model import Compiled, DiscoveredGateway
from ostiary_operator.controller.applied_configs import AppliedConfigs
from ostiary_operator.controller.pass_trace import PassTrace
from ostiary_operator.delivery.credentials import Credentials
from ostiary_operator.delivery.writer import AppliedConfig, ConfigWriter
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot, GatewayObjects
from ostiary_operator.kube.errors import ClusterError, Conflict
from ostiary_operator.status import replica_state
from ostiary_operator.status.publisher import StatusPublisher

_log = logging.getLogger(__name__)

#: Seconds until a pass that met a conflict at one gateway is repeated.
_AFTER_CONFLICT = 0.2
#: Seconds until objects in a forbidden namespace are read again: no event reports new rights.
_AFTER_FORBIDDEN = 60.0


@dataclass(slots=True)
class DeliveredConfigs:
    """The result of the config writes: failures by gateway, and whether there was a conflict.

    ``forbidden`` are gateways in namespaces that the operator may not read. Any tenant can label a Service as a
    gateway, so this is no failure of the pass: a failed pass delays the next one, and with it every tenant.

    ``began`` is the monotonic time at which the pass began. ``changed`` are the gateways that had a config before and
    got another one, with both.
    """

    began: float
    changed: list[tuple[DiscoveredGateway, GatewayConfig, GatewayConfig]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    forbidden: dict[str, str] = field(default_factory=dict)
    conflict: bool = False

    @property
    def requeue_after(self) -> float | None:
        """The seconds until the next pass although nothing failed; None for no extra pass."""
        if self.conflict:
            return _AFTER_CONFLICT
        return _AFTER_FORBIDDEN if self.forbidden else None


@dataclass(frozen=True, slots=True)
class ConfigDelivery:
    """Delivers compiled configs, and keeps what is in force at each gateway."""

    clock: Clock
    config_writer: ConfigWriter
    publisher: StatusPublisher
    applied_configs: AppliedConfigs

    async def deliver(
        self, compiled: Compiled, snapshot: ClusterSnapshot, credentials: Credentials, trace: PassTrace, *, began: float
    ) -> DeliveredConfigs:
        """Write the config of every gateway in parallel; a failure does not delay the others.

        ``credentials`` are the values of users' Secrets. ``began`` is the monotonic time at which the pass began.
        """
        replica_state.restrict(self.publisher.gateway_states, snapshot.gateway_objects, self.clock.monotonic())
        self.config_writer.keep_only(snapshot.gateway_objects)
        applied = DeliveredConfigs(began)
        chosen = gateways.elected(snapshot.gateways)
        work = [
            self._deliver(chosen[identity], config, snapshot.gateway_objects[identity], credentials, applied, trace)
            for identity, config in compiled.configs.items()
        ]
        await asyncio.gather(*work)
        return applied

    async def _deliver(
        self,
        gateway: DiscoveredGateway,
        config: GatewayConfig,
        gateway_objects: GatewayObjects,
        credentials: Credentials,
        applied: DeliveredConfigs,
        trace: PassTrace,
    ) -> None:
        identity = gateway.identity
        at = self.publisher.gateway_states[identity]
        if gateway_objects.forbidden is not None:
            at.problem = applied.forbidden[identity] = gateway_objects.forbidden
            return
        try:
            with trace.delivering(identity) as delivery:
                done = await self.config_writer.deliver(
                    gateway,
                    config,
                    gateway_objects,
                    acknowledged=at.acknowledged(),
                    credentials=credentials,
                    traceparent=delivery.traceparent,
                )
                if done.wrote and (at.manifest is None or at.manifest.revision != done.manifest.revision):
                    changed = _changed_entries(at.manifest, done.manifest)
                    delivery.put_in_force(done.manifest.revision, changed, since=self.clock.time())
        except Conflict as error:
            _log.info("gateway %s: an object changed meanwhile, the pass is repeated: %s", identity, error)
            applied.conflict = True
        except (ClusterError, ContractError) as error:
            at.problem = applied.failures[identity] = str(error)
        else:
            self._delivered(gateway, config, done, applied)

    def _delivered(
        self, gateway: DiscoveredGateway, config: GatewayConfig, done: AppliedConfig, applied: DeliveredConfigs
    ) -> None:
        identity = gateway.identity
        if done.wrote:
            seconds = self.clock.monotonic() - applied.began
            before = self.applied_configs.configs.get(identity)
            _log_change(identity, before, config, done, seconds=seconds)
            if before is not None:
                applied.changed.append((gateway, before, config))
        self.applied_configs.accept(identity, config, done.manifest)
        at = self.publisher.gateway_states[identity]
        at.prunable = done.prunable
        if at.given(done.manifest, done.admin_token, self.clock.monotonic()):
            self.publisher.poll_now.set()


def _changed_entries(old: Manifest | None, new: Manifest) -> dict[str, str]:
    """Return the digests of the entries that are new or changed, by proxy."""
    before = {each.proxy: each.digest for each in old.entries} if old is not None else {}
    return {each.proxy: each.digest for each in new.entries if before.get(each.proxy) != each.digest}


def _log_change(
    identity: str, old: GatewayConfig | None, new: GatewayConfig, done: AppliedConfig, *, seconds: float
) -> None:
    before = old.entries if old is not None else {}
    changed = sorted(key for key in before.keys() | new.entries.keys() if before.get(key) != new.entries.get(key))
    _log.info(
        "gateway %s: revision %d, %d proxies, changed: %s; wrote %s in %.2f s",
        *(identity, done.manifest.revision, len(new.entries), _few(changed), ", ".join(done.wrote), seconds),
    )


def _few(names: Iterable[str], *, most: int = 10) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return (", ".join(found[:most]) or "none") + more
