{{/* The console's name, and its service account: the chart's, or one that the user names. */}}
{{- define "ostiary.console.name" -}}{{ include "ostiary.fullname" . }}-console{{- end }}

{{- define "ostiary.console.serviceAccount" -}}
{{- .Values.console.serviceAccount.name | default (include "ostiary.console.name" .) -}}
{{- end }}

{{- define "ostiary.console.subjects" -}}
- kind: ServiceAccount
  name: {{ include "ostiary.console.serviceAccount" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{/* The metadata of each of its objects. */}}
{{- define "ostiary.console.metadata" -}}
name: {{ include "ostiary.console.name" . }}
namespace: {{ .Release.Namespace | quote }}
labels:
  {{- include "ostiary.labels" (list . "console") | nindent 2 }}
{{- end }}

{{/* The host of its external URL, without a port. */}}
{{- define "ostiary.console.host" -}}
{{ regexReplaceAll ":[0-9]+$" (urlParse .Values.console.externalURL).host "" }}
{{- end }}
