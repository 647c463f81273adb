{{/*
How the parts of a gateway are called. The one named `default` has the plain names; a further one has its own in the
middle, so that none can be called as a part of another. Every template here is called with `root` and `gateway`.
*/}}
{{- define "ostiary.gateway.name" -}}
{{- $own := eq .gateway.name "default" | ternary "" (printf "-%s" .gateway.name) -}}
{{- include "ostiary.fullname" .root -}}{{- $own -}}-gateway
{{- end }}

{{- define "ostiary.gateway.serviceAccount" -}}
{{- .gateway.serviceAccount.name | default (include "ostiary.gateway.name" .) -}}
{{- end }}

{{/* The operator's output: a list of ConfigMaps (as many as the contract allows, MAX_PARTS), and a Secret. */}}
{{- define "ostiary.gateway.configMaps" -}}
{{- range $number := until 16 }}
- ostiary-{{ $.gateway.name }}-{{ $number }}
{{- end }}
{{- end }}
{{- define "ostiary.gateway.secret" -}}ostiary-{{ .gateway.name }}{{- end }}

{{- define "ostiary.gateway.labels" -}}{{- include "ostiary.labels" (list .root "gateway") }}{{- end }}

{{/* By which its Pods are found: those of this gateway, not of others of the same release. */}}
{{- define "ostiary.gateway.selectorLabels" -}}
{{ include "ostiary.selectorLabels" (list .root "gateway") }}
ostiary.dev/gateway: {{ .gateway.name | quote }}
{{- end }}

{{/* The head of each of its objects. Usage: include "ostiary.gateway.metadata" (dict "scope" . "name" …) */}}
{{- define "ostiary.gateway.metadata" -}}
name: {{ .name }}
namespace: {{ .scope.root.Release.Namespace | quote }}
labels:
  {{- include "ostiary.gateway.labels" .scope | nindent 2 }}
{{- end }}
