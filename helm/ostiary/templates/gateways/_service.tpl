{{- define "ostiary.gateway.service" }}
{{- $service := .gateway.service }}
{{- $name := include "ostiary.gateway.name" . }}
{{- $public := ne $service.type "ClusterIP" -}}
# For the operator this Service *is* the gateway: its label has the gateway's name, its EndpointSlices list the replicas,
# and it owns the compiled config. It is always of type ClusterIP, because of its admin port.
apiVersion: v1
kind: Service
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" $name) | nindent 2 }}
    ostiary.dev/gateway: {{ .gateway.name | quote }}
  {{- with $service.annotations | and (not $public) }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: ClusterIP
  selector:
    {{- include "ostiary.gateway.selectorLabels" . | nindent 4 }}
  ports:
    {{- include "ostiary.gateway.dataPort" . | nindent 4 }}
    - name: admin
      port: 8081
      targetPort: admin
      appProtocol: http
{{- if $public }}
---
# For clients outside the cluster: the data port only.
apiVersion: v1
kind: Service
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (printf "%s-public" $name)) | nindent 2 }}
  {{- with $service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $service.type }}
  {{- with $service.loadBalancerClass }}
  loadBalancerClass: {{ . | quote }}
  {{- end }}
  {{- with $service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $service.externalTrafficPolicy }}
  externalTrafficPolicy: {{ . }}
  {{- end }}
  selector:
    {{- include "ostiary.gateway.selectorLabels" . | nindent 4 }}
  ports:
    {{- include "ostiary.gateway.dataPort" . | nindent 4 }}
      {{- with $service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
{{- end }}
{{- end }}

{{- define "ostiary.gateway.dataPort" -}}
- name: http
  port: {{ .gateway.service.port }}
  targetPort: http
  appProtocol: {{ .gateway.tls.secretName | empty | ternary "http" "https" }}
{{- end }}
