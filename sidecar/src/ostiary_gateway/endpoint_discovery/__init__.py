"""Which endpoints a Service has now, observed by the gateway itself.

Endpoints are observed and not compiled, so a rollout of a server needs no operator (docs/decisions/0018).

    endpoint_slice       one EndpointSlice as the API server sent it, read into what is needed of it
    known_slices         the slices that are known, by their Services
    service_endpoints    the endpoints of a Service: the union of its slices
    slice_watch          lists and watches the slices of one namespace, or of all, and keeps the last good ones
    slice_watches        one watch for each namespace that a server needs, or a single one for very many
    own_location         the zone and the node of this gateway, from the slices of its own Service
    observed_service     what is known of one Service, as its servers are told
    discovery            tells each server its endpoints, whenever config or slices change
"""
