{{- define "ostiary.gateway.rbac" }}
{{- if .gateway.watch }}
{{- $name := include "ostiary.gateway.name" . -}}
# The gateway reads its own compiled config, by name, and nothing else.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" $name) | nindent 2 }}
rules:
  - apiGroups: [""]
    resources: [configmaps]
    resourceNames:
      {{- include "ostiary.gateway.configMaps" . | trim | nindent 6 }}
    verbs: [get, list, watch]
  - apiGroups: [""]
    resources: [secrets]
    resourceNames: [{{ include "ostiary.gateway.secret" . }}]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" $name) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "ostiary.gateway.serviceAccount" . | quote }}
    namespace: {{ .root.Release.Namespace | quote }}
{{- end }}
{{- end }}
