{{- define "ostiary.gateway.servicemonitor" }}
{{- if .root.Values.metrics.serviceMonitor.enabled -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (include "ostiary.gateway.name" .)) | nindent 2 }}
    {{- with .root.Values.metrics.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "ostiary.gateway.selectorLabels" . | nindent 6 }}
  endpoints:
    - port: admin
      {{- include "ostiary.scrape" .root | nindent 6 }}
{{- end }}
{{- end }}
