{{- define "ostiary.gateway.rbac-console" }}
{{- if .root.Values.console.enabled }}
{{- $name := printf "%s-evidence" (include "ostiary.gateway.name" .) -}}
{{- $labels := include "ostiary.labels" (list .root "console") -}}
# The console's rights to this gateway: what was delivered to it, where its replicas are, and the bearer of its evidence.
# That Secret holds nothing else: no key of sessions, of policies, or of the rest of the admin port.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [configmaps]
    resourceNames:
      {{- include "ostiary.gateway.configMaps" . | trim | nindent 6 }}
    verbs: [get]
  - apiGroups: [""]
    resources: [secrets]
    resourceNames: [{{ include "ostiary.gateway.evidenceSecret" . }}]
    verbs: [get]
  - apiGroups: [discovery.k8s.io]
    resources: [endpointslices]
    verbs: [list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  {{- include "ostiary.console.subjects" .root | nindent 2 }}
{{- end }}
{{- end }}
