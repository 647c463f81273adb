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
    {{- if .root.Values.console.enabled }}
    # The console asks each replica what it recorded.
    - ports: [{port: admin}]
      from:
        - podSelector:
            matchLabels:
              {{- include "ostiary.selectorLabels" (list .root "console") | nindent 14 }}
    {{- end }}
    # Replicas bring answers of callers to the replica where a call waits for them, sealed with the gateway's key.
    - ports: [{port: admin}]
      from:
        - podSelector:
            matchLabels:
              {{- include "ostiary.gateway.selectorLabels" . | nindent 14 }}
    {{- with $policy.metricsFrom }}
    # Prometheus scrapes metrics at the admin port; its other endpoints with internal data need a token.
    - ports: [{port: admin}]
      from:
        {{- toYaml . | nindent 8 }}
    {{- end }}
  {{- if $policy.egress.enabled }}
  egress:
    {{- include "ostiary.egress.dns" . | nindent 4 }}
    # The other replicas.
    - ports: [{port: admin}]
      to:
        - podSelector:
            matchLabels:
              {{- include "ostiary.gateway.selectorLabels" . | nindent 14 }}
    {{- if .gateway.watch }}
    {{- include "ostiary.egress.apiServer" .root | nindent 4 }}
    {{- end }}
    {{- with dig "limitStore" "redis" "addresses" list .gateway.settings }}
    # The store of limits; where Sentinels or a Cluster name nodes at other ports, `rules` must allow those.
    - ports:
        {{- range $port := . | toStrings | uniq }}
        - port: {{ regexFind "[0-9]+$" $port }}
        {{- end }}
    {{- end }}
    {{- with $policy.egress.rules }}
    # MCP servers, and all other destinations of the gateway.
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
