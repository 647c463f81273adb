{{- define "ostiary.gateway.ingress" }}
{{- $ingress := .gateway.ingress }}
{{- if $ingress.enabled -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (include "ostiary.gateway.name" .)) | nindent 2 }}
  {{- with $ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . | quote }}
  {{- end }}
  {{- with $ingress.tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range $ingress.hosts | default (list "") }}
    - {{ with . }}host: {{ . | quote }}
      {{ end }}http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service: {name: {{ include "ostiary.gateway.name" $ }}, port: {name: http}}
    {{- end }}
{{- end }}
{{- end }}
