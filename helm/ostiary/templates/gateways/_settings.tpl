{{- define "ostiary.gateway.settings" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (printf "%s-settings" (include "ostiary.gateway.name" .))) | nindent 2 }}
    ostiary.dev/gateway: {{ .gateway.name | quote }}
    ostiary.dev/usage: settings
data:
  settings.yaml: |
    {{- include "ostiary.gateway.settingsText" . | nindent 4 }}
{{- end }}

{{/* The user's settings; with sidecar containers, MCPProxies of the gateway's namespace may use localhost. */}}
{{- define "ostiary.gateway.settingsText" -}}
{{- $settings := deepCopy .gateway.settings -}}
{{- if .gateway.sidecar.containers -}}
{{- $local := dict "namespaces" (list .root.Release.Namespace) "addresses" (list "127.0.0.0/8" "::1/128") -}}
{{- $_ := set $settings "grants" (append ($settings.grants | default list) $local) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}
