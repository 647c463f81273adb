{{/*
The base of all names: the release's name, followed by the chart's name unless it contains that. Dots are replaced, since
the name of a release may have dots and that of a Service may not.
*/}}
{{- define "ostiary.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $base := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $base | replace "." "-" | trunc 45 | trimSuffix "-" -}}
{{- end }}

{{/* The operator's name; gateways' are in gateways/_names.tpl. */}}
{{- define "ostiary.operator.name" -}}{{ include "ostiary.fullname" . }}-operator{{- end }}

{{/* Its service account: the chart's, or one that the user names. For an operator of another release: the usual name. */}}
{{- define "ostiary.operator.serviceAccount" -}}
{{- $ours := .Values.operator.enabled | ternary (include "ostiary.operator.name" .) "ostiary-operator" -}}
{{- .Values.operator.serviceAccount.name | default $ours -}}
{{- end }}

{{/* The operator's namespace: that of this release, or of the release that installed it. */}}
{{- define "ostiary.operator.namespace" -}}
{{- .Values.operator.enabled | ternary .Release.Namespace (.Values.operator.namespace | default .Release.Namespace) -}}
{{- end }}

{{/* Labels by which a Deployment and its Service select their Pods. Usage: include "…" (list $ "gateway") */}}
{{- define "ostiary.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Values.nameOverride | default $root.Chart.Name | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of everything. Usage: include "ostiary.labels" (list $ "gateway"), or (list $ "") for what both share. */}}
{{- define "ostiary.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_") }}
{{ include "ostiary.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: ostiary
{{- end }}

{{/* The image; a digest takes precedence over a tag. */}}
{{- define "ostiary.image" -}}
{{- with .Values.image -}}
{{- .repository -}}{{- with .digest }}@{{ . }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{/* Not empty if the image has no registry: nodes must already have it, since no public registry has Ostiary's image. */}}
{{- define "ostiary.image.local" -}}
{{- with .Values.image -}}
{{- $first := splitList "/" .repository | first -}}
{{- $registry := and (contains "/" .repository) (or (regexMatch "[.:]" $first) (eq $first "localhost")) -}}
{{- if not (or $registry .digest) }}yes{{ end -}}
{{- end -}}
{{- end }}

{{/*
What the restricted Pod Security Standard requires of a Pod, and also a numeric user and a group that may read volumes.
Nulls are omitted. Numbers from YAML are floats, which Helm would print with an exponent if they are large.
*/}}
{{- define "ostiary.podSecurityContext" -}}
runAsNonRoot: true
{{- range $name, $number := .Values.podSecurityContext }}
{{- if not (kindIs "invalid" $number) }}
{{ $name }}: {{ int64 $number }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "ostiary.restrictedContainer" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
{{- end }}

{{- define "ostiary.containerSecurityContext" -}}
{{ include "ostiary.restrictedContainer" . }}
readOnlyRootFilesystem: true
{{- end }}

{{/* Scheduling of Pods by the user's values. Usage: include "ostiary.scheduling" .Values.operator */}}
{{- define "ostiary.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}

{{/* An address as written before a port. Usage: include "ostiary.host" .Values.listenAddress */}}
{{- define "ostiary.host" -}}
{{ contains ":" . | ternary (printf "[%s]" .) . }}
{{- end }}

{{/* Name, namespace and node of a Pod, from the downward API. */}}
{{- define "ostiary.podEnv" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: POD_IPS
  valueFrom: {fieldRef: {fieldPath: status.podIPs}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end }}

{{/* Traces, set with OpenTelemetry's variables. Without an endpoint there are none. */}}
{{- define "ostiary.telemetryEnv" -}}
{{- with .Values.telemetry }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol | quote }}
{{- if .headersSecret.name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .headersSecret.name | quote }}, key: {{ .headersSecret.key | quote }}}}
{{- end }}
{{- with .serviceName }}
- name: OTEL_SERVICE_NAME
  value: {{ . | quote }}
{{- end }}
{{- with .resourceAttributes }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "ostiary.pairs" . | quote }}
{{- end }}
{{- with .sampler }}
- name: OTEL_TRACES_SAMPLER
  value: {{ . | quote }}
{{- end }}
{{- with .samplerArgument }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Traces of changes. The gateway's sampler would lose most of them, and its service name would hide who sent them. */}}
{{- define "ostiary.changeTracesEnv" -}}
{{- with .Values.telemetry }}
{{- if and .endpoint (eq .changes "Enabled") (eq .protocol "http/protobuf") }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol | quote }}
{{- if .headersSecret.name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .headersSecret.name | quote }}, key: {{ .headersSecret.key | quote }}}}
{{- end }}
{{- with .resourceAttributes }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "ostiary.pairs" . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* key=value,… with percent-encoded values, as OTEL_RESOURCE_ATTRIBUTES requires. */}}
{{- define "ostiary.pairs" -}}
{{- $pairs := list -}}
{{- range $key, $value := . -}}
{{- $pairs = append $pairs (printf "%s=%s" $key ($value | toString | urlquery | replace "+" "%20")) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end }}

{{/* A volume with further CA certificates, if there are any. */}}
{{- define "ostiary.extraCA.source" -}}
{{- with .Values.extraCA -}}
{{- if .configMap -}}
configMap: {name: {{ .configMap | quote }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
{{- else if .secret -}}
secret: {secretName: {{ .secret | quote }}, items: [{key: {{ .key | quote }}, path: ca.crt}], defaultMode: 0440}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
OpenSSL reads CA certificates from one file and from one folder. The system's are in both, so the file can be replaced by
the further ones without losing the system's. gRPC has its own variable, and reads only one file.
*/}}
{{- define "ostiary.extraCA.env" -}}
{{- if include "ostiary.extraCA.source" . -}}
- name: SSL_CERT_FILE
  value: /etc/ostiary-ca/ca.crt
- name: SSL_CERT_DIR
  value: /etc/ssl/certs
{{- if and .Values.telemetry.endpoint (eq .Values.telemetry.protocol "grpc") }}
- name: OTEL_EXPORTER_OTLP_CERTIFICATE
  value: /etc/ostiary-ca/ca.crt
{{- end }}
{{- end -}}
{{- end }}
