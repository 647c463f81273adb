{{- define "ostiary.gateway.serviceaccount" }}
{{- if not .gateway.serviceAccount.name -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (include "ostiary.gateway.name" .)) | nindent 2 }}
  {{- with .gateway.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end }}
