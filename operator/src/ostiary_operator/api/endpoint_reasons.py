"""The reasons of EndpointsObserved: how gateways know where the Pods behind a Service are."""

from typing import Final

from ostiary_operator.api.reasons import NOTHING, WAIT, Reason

_BY_NAME: Final = "It connects to the Service's address instead, so sessions break when a Pod goes."


class EndpointsObservedReason(Reason):
    """Reasons of EndpointsObserved: do gateways know where the Pods behind a Service are?

    Only MCPProxies with a `service` whose endpoints are observed have the condition, and it is not part of Ready.
    """

    OBSERVED = ("EndpointsObserved", "Gateways observe the endpoints of every Service that it names.", NOTHING)
    PENDING = ("Pending", "No gateway has reported yet.", WAIT)
    NOT_LISTED = (
        "NotListedYet",
        f"A gateway has not listed the Service's EndpointSlices yet. {_BY_NAME}",
        "Wait a few seconds. If it stays, read the gateway's log.",
    )
    NOT_PERMITTED = (
        "NotPermitted",
        f"A gateway may not watch EndpointSlices in the Service's namespace. {_BY_NAME}",
        (
            "Give its ServiceAccount `list` and `watch` on `endpointslices` there: the chart does "
            "(`gatewayDefaults.endpointSlices`). Or set `routingType: Service`."
        ),
    )
    NOT_WATCHED = (
        "NotWatched",
        f"A gateway does not watch the Kubernetes API. {_BY_NAME}",
        "Start it with `--watch` (`gatewayDefaults.watch` of the chart), or set `routingType: Service`.",
    )
    API_UNAVAILABLE = (
        "ApiUnavailable",
        "A gateway cannot reach the Kubernetes API. The last known endpoints stay in force.",
        "Check the API server, and that no NetworkPolicy blocks gateways from it.",
    )
    TOO_MANY_ENDPOINTS = (
        "TooManyEndpoints",
        "A Service has more endpoints than a gateway uses.",
        "Divide them among several Services.",
    )
    NO_READY_ENDPOINTS = (
        "NoReadyEndpoints",
        "A Service has no endpoint that is ready, so requests to the server fail.",
        "Check the Pods that the Service selects, and that its port is theirs: `kubectl get endpointslices`.",
    )
