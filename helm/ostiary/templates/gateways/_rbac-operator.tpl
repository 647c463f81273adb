{{- define "ostiary.gateway.rbac-operator" }}
{{- $name := printf "%s-config" (include "ostiary.gateway.name" .) -}}
{{- $labels := include "ostiary.labels" (list .root "operator") -}}
# The operator's rights in this gateway's namespace: write its config, read its settings and its replicas. They are part
# of the gateway, since they name its objects: the operator can read no other Secret here.
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
    verbs: [list, watch]
  # `create` by name works because the operator writes by server-side apply.
  - apiGroups: [""]
    resources: [configmaps]
    resourceNames:
      {{- include "ostiary.gateway.configMaps" . | trim | nindent 6 }}
    verbs: [create, patch]
  # The last checkpoints of its audit trails, which outlive its Pods.
  - apiGroups: [""]
    resources: [configmaps]
    resourceNames: [ostiary-{{ .gateway.name }}-audit]
    verbs: [get, create, patch]
  - apiGroups: [""]
    resources: [secrets]
    resourceNames: [{{ include "ostiary.gateway.secret" . }}]
    verbs: [get, create, patch]
  # The bearer of its evidence alone, for a console that may not read its keys.
  - apiGroups: [""]
    resources: [secrets]
    resourceNames: [{{ include "ostiary.gateway.evidenceSecret" . }}]
    verbs: [get, create, patch]
  {{- with include "ostiary.gateway.limitStoreSecrets" . | fromYamlArray }}
  # User and password of the store that its replicas share.
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      {{- toYaml . | nindent 6 }}
    verbs: [get]
  {{- end }}
  {{- with include "ostiary.gateway.auditWebhookSecrets" . | fromYamlArray }}
  # Bearer tokens for the receivers of audit records.
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      {{- toYaml . | nindent 6 }}
    verbs: [get]
  {{- end }}
  - apiGroups: [discovery.k8s.io]
    resources: [endpointslices]
    verbs: [list, watch]
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
  - kind: ServiceAccount
    name: {{ include "ostiary.operator.serviceAccount" .root | quote }}
    namespace: {{ include "ostiary.operator.namespace" .root | quote }}
{{- end }}
