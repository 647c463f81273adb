{{/*
Names of the parts of a gateway. The gateway `default` has the plain names; any other has its name in the middle, so that
it cannot have the name of another gateway's part. Every template here is called with `root` and `gateway`.
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

{{/* The Secret with the bearer of its evidence alone. Names of gateways have no dot: it is no other gateway's Secret. */}}
{{- define "ostiary.gateway.evidenceSecret" -}}ostiary-{{ .gateway.name }}.evidence{{- end }}

{{- define "ostiary.gateway.labels" -}}{{- include "ostiary.labels" (list .root "gateway") }}{{- end }}

{{/* Labels that select the Pods of this gateway, and not those of other gateways of the same release. */}}
{{- define "ostiary.gateway.selectorLabels" -}}
{{ include "ostiary.selectorLabels" (list .root "gateway") }}
ostiary.dev/gateway: {{ .gateway.name | quote }}
{{- end }}

{{/* The metadata of each of its objects. Usage: include "ostiary.gateway.metadata" (dict "scope" . "name" …) */}}
{{- define "ostiary.gateway.metadata" -}}
name: {{ .name }}
namespace: {{ .scope.root.Release.Namespace | quote }}
labels:
  {{- include "ostiary.gateway.labels" .scope | nindent 2 }}
{{- end }}

{{/* The Secrets that the settings name for the webhooks of audit records, as a YAML list. */}}
{{- define "ostiary.gateway.auditWebhookSecrets" -}}
{{- range dig "audit" "sinks" list .gateway.settings }}
{{- with dig "webhook" "credentialRef" "name" "" . }}
- {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Secrets that the settings name for the store of limits, as a YAML list. */}}
{{- define "ostiary.gateway.limitStoreSecrets" -}}
{{- $redis := dig "limitStore" "redis" dict .gateway.settings -}}
{{- range $member := list "credentialsRef" "sentinelCredentialsRef" }}
{{- with dig $member "name" "" $redis }}
- {{ . | quote }}
{{- end }}
{{- end }}
{{- range dig "tls" "caCertificateRefs" list $redis }}
{{- if eq .kind "Secret" }}
- {{ .name | quote }}
{{- end }}
{{- end }}
{{- end }}
