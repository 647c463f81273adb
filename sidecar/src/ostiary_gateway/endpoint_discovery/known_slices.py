"""The slices that are known, by their Services."""

from collections.abc import Mapping

from ostiary_gateway.endpoint_discovery.endpoint_slice import EndpointSlice, ServiceKey, SliceKey


class KnownSlices:
    """Slices of the Services of ``needed``; others are left out."""

    def __init__(self, needed: frozenset[ServiceKey]) -> None:
        self.needed = needed
        self._by_service: dict[ServiceKey, dict[str, EndpointSlice]] = {}
        self._services: dict[SliceKey, ServiceKey] = {}

    def of(self, service: ServiceKey) -> Mapping[str, EndpointSlice]:
        """Return the slices of a Service by name."""
        return self._by_service.get(service, {})

    def replace(self, key: SliceKey, found: EndpointSlice | None) -> frozenset[ServiceKey]:
        """Put a slice in the place of the one that was known; None forgets that one.

        Return the Services that have changed. A slice may come to belong to another one.
        """
        service = self._services.pop(key, None)
        before = self._by_service[service].pop(key[1]) if service is not None else None
        if found is not None and found.of in self.needed:
            self._services[key] = found.of
            self._by_service.setdefault(found.of, {})[found.name] = found
        else:
            found = None
        return frozenset() if before == found else frozenset(each.of for each in (before, found) if each is not None)

    def restricted(self, needed: frozenset[ServiceKey]) -> "KnownSlices":
        """Return the slices of these Services only."""
        kept = KnownSlices(needed)
        for slices in self._by_service.values():
            for each in slices.values():
                kept.replace((each.namespace, each.name), each)
        return kept
