{{- /*
The right to watch the Pods behind the Services that MCPProxies name, in the namespaces that the gateway serves; and in
its own, where it finds its zone. A gateway outside the operator's namespace serves its own namespace only.
*/}}
{{- define "ostiary.gateway.rbac-endpoints" }}
{{- if and .gateway.watch .gateway.endpointSlices.observe }}
{{- $release := .root.Release.Namespace -}}
{{- $name := printf "%s-%s-endpoints" (include "ostiary.gateway.name" .) $release -}}
{{- $scope := dict "scope" . "name" $name -}}
{{- $shared := eq $release (include "ostiary.operator.namespace" .root) -}}
{{- $namespaces := .gateway.endpointSlices.namespaces | default (ternary .root.Values.watchNamespaces (list $release) $shared) -}}
{{- if not $namespaces -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- include "ostiary.gateway.labels" . | nindent 4 }}
{{ include "ostiary.gateway.endpointRules" . }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "ostiary.gateway.labels" . | nindent 4 }}
{{ include "ostiary.gateway.endpointBinding" (set $scope "kind" "ClusterRole") }}
{{- else }}
{{- range append $namespaces $release | uniq }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ . | quote }}
  labels:
    {{- include "ostiary.gateway.labels" $ | nindent 4 }}
{{ include "ostiary.gateway.endpointRules" $ }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ . | quote }}
  labels:
    {{- include "ostiary.gateway.labels" $ | nindent 4 }}
{{ include "ostiary.gateway.endpointBinding" (set $scope "kind" "Role") }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ostiary.gateway.endpointRules" -}}
rules:
  - apiGroups: [discovery.k8s.io]
    resources: [endpointslices]
    verbs: [list, watch]
{{- end }}

{{- define "ostiary.gateway.endpointBinding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "ostiary.gateway.serviceAccount" .scope | quote }}
    namespace: {{ .scope.root.Release.Namespace | quote }}
{{- end }}
