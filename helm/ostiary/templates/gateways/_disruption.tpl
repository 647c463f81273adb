{{/* One replica gets none: it could block the drain of a node for ever. */}}
{{- define "ostiary.gateway.disruption" }}
{{- $fewest := .gateway.autoscaling.enabled | ternary .gateway.autoscaling.minReplicas .gateway.replicas | int }}
{{- if and .gateway.podDisruptionBudget.enabled (gt $fewest 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (include "ostiary.gateway.name" .)) | nindent 2 }}
spec:
  maxUnavailable: {{ .gateway.podDisruptionBudget.maxUnavailable }}
  # A Pod that is not ready serves no requests: it may be evicted, so that it does not block the drain of a node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "ostiary.gateway.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}
