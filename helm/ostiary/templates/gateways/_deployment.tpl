{{- define "ostiary.gateway.deployment" }}
{{- $gateway := .gateway }}
{{- $address := .root.Values.listenAddress -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "ostiary.gateway.metadata" (dict "scope" . "name" (include "ostiary.gateway.name" .)) | nindent 2 }}
spec:
  {{- with include "ostiary.gateway.replicas" . }}
  {{ . }}
  {{- end }}
  strategy:
    # A new replica is ready before an old one ends, so that an upgrade refuses no request.
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "ostiary.gateway.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- with $gateway.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "ostiary.gateway.selectorLabels" . | nindent 8 }}
        app.kubernetes.io/part-of: ostiary
      annotations:
        kubectl.kubernetes.io/default-container: gateway
        {{- with $gateway.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "ostiary.gateway.serviceAccount" . | quote }}
      # The API is read only to be faster; without it the data plane has no token at all.
      automountServiceAccountToken: {{ $gateway.watch }}
      enableServiceLinks: false
      # The drain, plus time to flush spans and to end.
      terminationGracePeriodSeconds: {{ addf $gateway.drain.delaySeconds $gateway.drain.seconds 15 | ceil | int }}
      securityContext:
        {{- include "ostiary.podSecurityContext" .root | nindent 8 }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with include "ostiary.scheduling" $gateway | trim }}
        {{- . | nindent 6 }}
      {{- end }}
      topologySpreadConstraints:
        {{- with $gateway.topologySpreadConstraints }}
        {{- toYaml . | nindent 8 }}
        {{- else }}
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "ostiary.gateway.selectorLabels" $ | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
        {{- end }}
      {{- with $gateway.sidecar.containers }}
      # MCP servers that listen on localhost. Restartable init containers start before the gateway and end after it, so
      # that calls in flight are answered.
      initContainers:
        {{- range . }}
        {{- $defaults := dict "restartPolicy" "Always" "securityContext" (include "ostiary.restrictedContainer" $ | fromYaml) }}
        - {{- mustMergeOverwrite $defaults . | toYaml | nindent 10 }}
        {{- end }}
      {{- end }}
      containers:
        - name: gateway
          image: {{ include "ostiary.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args:
            - gateway
            - --config=/etc/ostiary
            - "--gateway={{ .root.Release.Namespace }}/{{ $gateway.name }}"
            - "--host={{ $address }}"
            - --port=8080
            - "--admin-host={{ $address }}"
            - --admin-port=8081
            - "--drain-delay-seconds={{ $gateway.drain.delaySeconds }}"
            - "--drain-seconds={{ $gateway.drain.seconds }}"
            - "--http-server={{ $gateway.httpServer }}"
            - "--log-format={{ $gateway.logFormat }}"
            {{- /* Not said where it is the default, since an older image would refuse the flag. */}}
            {{- if gt (int $gateway.workers) 1 }}
            - "--workers={{ int $gateway.workers }}"
            {{- end }}
            {{- if $gateway.tls.secretName }}
            - --tls-cert=/etc/ostiary-tls/tls.crt
            - --tls-key=/etc/ostiary-tls/tls.key
            {{- end }}
            {{- if $gateway.watch }}
            - --watch
            {{- end }}
          env:
            {{- include "ostiary.podEnv" . | nindent 12 }}
            # The only folder that keys are read from. It is a variable, since an older image would refuse a flag.
            - name: OSTIARY_KEYS
              value: /etc/ostiary-keys
            # Where the other replicas reach the admin port of this one.
            - name: OSTIARY_ADVERTISE
              value: $(POD_IP)
            # Spans carry the names of the container and the Deployment.
            - name: CONTAINER_NAME
              value: gateway
            - name: DEPLOYMENT_NAME
              value: {{ include "ostiary.gateway.name" . }}
            {{- with include "ostiary.telemetryEnv" .root | trim }}
              {{- . | nindent 12 }}
            {{- end }}
            {{- with include "ostiary.extraCA.env" .root | trim }}
              {{- . | nindent 12 }}
            {{- end }}
            {{- with $gateway.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: http
              containerPort: 8080
            - name: admin
              containerPort: 8081
          startupProbe:
            httpGet: {path: /healthz, port: admin}
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /healthz, port: admin}
            periodSeconds: 10
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /readyz, port: admin}
            periodSeconds: 2
            timeoutSeconds: 2
          resources:
            {{- toYaml $gateway.resources | nindent 12 }}
          securityContext:
            {{- include "ostiary.containerSecurityContext" . | nindent 12 }}
          volumeMounts:
            - name: config
              mountPath: /etc/ostiary
              readOnly: true
            - name: keys
              mountPath: /etc/ostiary-keys
              readOnly: true
            - name: tmp
              mountPath: /tmp
            {{- if $gateway.tls.secretName }}
            - name: tls
              mountPath: /etc/ostiary-tls
              readOnly: true
            {{- end }}
            {{- if include "ostiary.extraCA.source" .root }}
            - name: extra-ca
              mountPath: /etc/ostiary-ca
              readOnly: true
            {{- end }}
            {{- with $gateway.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: config
          projected:
            # One volume, so that all parts change in one step. All are optional: the operator writes them later.
            defaultMode: 0440
            sources:
              {{- range include "ostiary.gateway.configMaps" . | fromYamlArray }}
              - configMap: {name: {{ . }}, optional: true}
              {{- end }}
        # A separate volume: users who may write a ConfigMap choose the names in it, and could otherwise add keys.
        - name: keys
          secret: {secretName: {{ include "ostiary.gateway.secret" . }}, optional: true, defaultMode: 0440}
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        {{- with $gateway.tls.secretName }}
        # A whole folder and not a subPath, since the kubelet does not update a subPath with a renewed certificate.
        - name: tls
          secret: {secretName: {{ . | quote }}, defaultMode: 0440}
        {{- end }}
        {{- with include "ostiary.extraCA.source" .root }}
        - name: extra-ca
          {{- . | nindent 10 }}
        {{- end }}
        {{- with $gateway.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with $gateway.sidecar.volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}

{{/*
With autoscaling only the autoscaler sets `replicas`. But when autoscaling is turned on, omitting the field that the chart
set before would scale to one Pod until the autoscaler runs. So the chart keeps the live number until the autoscaler has
set one. GitOps tools have no live object here: see docs/guides/gitops.md.
*/}}
{{- define "ostiary.gateway.replicas" -}}
{{- if not .gateway.autoscaling.enabled -}}
replicas: {{ .gateway.replicas }}
{{- else -}}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace (include "ostiary.gateway.name" .) -}}
{{- range dig "metadata" "managedFields" (list) $live -}}
{{- if and (eq .manager "helm") (dig "fieldsV1" "f:spec" "f:replicas" false . | kindIs "map") -}}
replicas: {{ $live.spec.replicas }}
{{- break -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
