{{- define "demo.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{ include "demo.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: ostiary-demo
{{- end }}

{{- define "demo.selectorLabels" -}}
app.kubernetes.io/name: mock-mcp-server
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "demo.metadata" -}}
name: {{ .Values.proxy.name | quote }}
namespace: {{ .Release.Namespace | quote }}
labels:
  {{- include "demo.labels" . | nindent 2 }}
{{- end }}

{{- define "demo.image" -}}
{{- with .Values.image -}}
{{- .repository -}}{{- with .digest }}@{{ . }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{/* At least what the restricted Pod Security Standard requires of a Pod and of a container. Nulls are omitted. */}}
{{- define "demo.podSecurityContext" -}}
runAsNonRoot: true
{{- range $name, $number := .Values.podSecurityContext }}
{{- if not (kindIs "invalid" $number) }}
{{ $name }}: {{ int64 $number }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "demo.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "demo.mocked" -}}
{{- if and .Values.mockServer.enabled (not .Values.proxy.url) }}yes{{ end -}}
{{- end }}
