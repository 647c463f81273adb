"""The labels of objects in Kubernetes that both planes read."""

from typing import Final

#: On a Service: this is a gateway, of that name. Kubernetes copies it to the EndpointSlices of the Service.
GATEWAY: Final = "ostiary.dev/gateway"
#: Set by Kubernetes on every EndpointSlice of a Service.
SERVICE_NAME: Final = "kubernetes.io/service-name"
#: Names the controller of an EndpointSlice.
SLICE_MANAGER: Final = "endpointslice.kubernetes.io/managed-by"
#: Kubernetes' own, which lists the Pods that a Service selects, and removes what others write into its slices.
SLICE_CONTROLLER: Final = "endpointslice-controller.k8s.io"
