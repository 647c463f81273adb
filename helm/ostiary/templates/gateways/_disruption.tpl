{{/* One replica needs none: it could only keep a node from being drained for ever. */}}
{{- define "ostiary.gateway.disruption" }}
{{- $fewest := .gateway.autoscaling.enabled | ternary .gateway.autoscaling.minReplicas .gateway.replicas | int }}
{{- if and .gateway.podDisruptionBudget.enabled (gt $fewest 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (include "ostiary.gateway.name" .)) | nindent 2 }}
spec:
  maxUnavailable: {{ .gateway.podDisruptionBudget.maxUnavailable }}
  # A Pod that is not ready serves nobody: it may go, so that a broken one does not block the node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "ostiary.gateway.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}
