{{/* Egress that every Pod of the chart needs. */}}
{{- define "ostiary.egress.dns" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}

{{/* A NetworkPolicy cannot name the API server: allow its addresses, or every address at its usual ports. */}}
{{- define "ostiary.egress.apiServer" -}}
- ports: [{port: 443}, {port: 6443}]
  {{- with .Values.networkPolicy.egress.apiServer }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end }}

{{/* How Prometheus scrapes an endpoint of the chart. */}}
{{- define "ostiary.scrape" -}}
path: /metrics
{{- with .Values.metrics.serviceMonitor.interval }}
interval: {{ . | quote }}
{{- end }}
{{- with .Values.metrics.serviceMonitor.relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
