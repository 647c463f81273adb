{{- define "ostiary.gateway.networkpolicy" }}
{{- $policy := .root.Values.networkPolicy }}
{{- if $policy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (include "ostiary.gateway.name" .)) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "ostiary.gateway.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress{{ if $policy.egress.enabled }}, Egress{{ end }}]
  ingress:
    # MCP clients.
    - ports: [{port: http}]
      {{- with $policy.dataFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    # The operator asks each replica what it runs.
    - ports: [{port: admin}]
      from:
        - namespaceSelector:
            matchLabels: {kubernetes.io/metadata.name: {{ include "ostiary.operator.namespace" .root | quote }}}
          podSelector:
            matchLabels: {app.kubernetes.io/component: operator, app.kubernetes.io/part-of: ostiary}
        {{- with $policy.adminFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $policy.metricsFrom }}
    # Who scrapes metrics, which the admin port serves; all of it that tells more wants a token.
    - ports: [{port: admin}]
      from:
        {{- toYaml . | nindent 8 }}
    {{- end }}
  {{- if $policy.egress.enabled }}
  egress:
    {{- include "ostiary.egress.dns" . | nindent 4 }}
    {{- if .gateway.watch }}
    {{- include "ostiary.egress.apiServer" .root | nindent 4 }}
    {{- end }}
    {{- with $policy.egress.rules }}
    # MCP servers, and whatever else the gateway speaks to.
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
