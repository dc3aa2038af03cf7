{{/* Secret properties, as variables: the program tells no value of them. */}}
{{- define "quaymeter.kafkaEnv" -}}
{{- if eq .Values.mode "kafka" -}}
{{- $all := .Values.kafka.secretProperties -}}
{{- with .Values.kafka.sasl -}}
{{- if .mechanism -}}
{{- $all = concat (list
    (dict "property" "sasl.username" "secret" .secret.name "key" .secret.usernameKey)
    (dict "property" "sasl.password" "secret" .secret.name "key" .secret.passwordKey)) $all -}}
{{- end -}}
{{- end -}}
{{- range $all }}
- name: QUAYMETER_KAFKA_PROPERTY_{{ .property | replace "." "_" | upper }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key | quote }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What is mounted to speak to Kafka, of the service and of the hook. */}}
{{- define "quaymeter.kafkaMounts" -}}
{{- if and (eq .Values.mode "kafka") .Values.kafka.tls.enabled -}}
{{- if .Values.kafka.tls.caSecret.name }}
- name: kafka-ca
  mountPath: /etc/quaymeter/kafka-ca
  readOnly: true
{{- end }}
{{- if .Values.kafka.tls.certificateSecret }}
- name: kafka-certificate
  mountPath: /etc/quaymeter/kafka-certificate
  readOnly: true
{{- end }}
{{- end -}}
{{- end -}}

{{- define "quaymeter.kafkaVolumes" -}}
{{- if and (eq .Values.mode "kafka") .Values.kafka.tls.enabled -}}
{{- with .Values.kafka.tls.caSecret }}
{{- if .name }}
- name: kafka-ca
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - key: {{ .key | quote }}
        path: ca.crt
{{- end }}
{{- end }}
{{- with .Values.kafka.tls.certificateSecret }}
- name: kafka-certificate
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}
{{- end -}}

{{/* Not empty if keys must be copied, because the program takes only those that are its user's alone. */}}
{{- define "quaymeter.copiesKeys" -}}
{{- if or .Values.pseudonymKey.secret.name .Values.auth.keysKey }}yes{{ end -}}
{{- end -}}

{{/* Copies a key: image, name, from which mount, from where, to where. */}}
{{- define "quaymeter.copiedKey" -}}
{{- $root := index . 0 -}}
- name: {{ index . 1 }}
  image: {{ include "quaymeter.image" $root | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: [install, -m, "0600", {{ index . 3 | quote }}, {{ index . 4 | quote }}]
  securityContext:
    {{- toYaml $root.Values.securityContext | nindent 4 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - name: {{ index . 2 }}
      mountPath: {{ index . 3 | dir }}
      readOnly: true
    - name: keys
      mountPath: /run/quaymeter
{{- end -}}

{{- define "quaymeter.volumes" -}}
- name: config
  configMap:
    name: {{ include "quaymeter.fullname" . }}
- name: tmp
  emptyDir: {}
{{- with .Values.tls }}
{{- if .enabled }}
# As it is, not a copy: it is loaded again when it changes.
- name: tls
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
{{- if .clientCA.secret }}
- name: client-ca
  secret:
    secretName: {{ .clientCA.secret }}
    defaultMode: 0440
    items:
      - key: {{ .clientCA.key | quote }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.auth.existingSecret }}
- name: callers
  secret:
    secretName: {{ .Values.auth.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if .Values.pseudonymKey.secret.name }}
- name: pseudonym-secret
  secret:
    secretName: {{ .Values.pseudonymKey.secret.name }}
    defaultMode: 0440
    items:
      - key: {{ .Values.pseudonymKey.secret.key | quote }}
        path: pseudonyms.key
{{- end }}
{{- if include "quaymeter.copiesKeys" . }}
- name: keys
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
{{- end }}
{{- with .Values.registry.configMap }}
{{- if .name }}
- name: registry
  configMap:
    name: {{ .name }}
    items:
      - key: {{ .key | quote }}
        path: registry.csv
{{- end }}
{{- end }}
{{- with include "quaymeter.kafkaVolumes" . | trim }}
{{ . }}
{{- end }}
{{- with .Values.persistence }}
{{- if .existingClaim }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .existingClaim }}
{{- else if not .enabled }}
- name: data
  emptyDir: {}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "quaymeter.mounts" -}}
- name: config
  mountPath: /etc/quaymeter/config
  readOnly: true
- name: data
  mountPath: /var/lib/quaymeter
# `quaymeter audit`, run in the pod, spools there.
- name: tmp
  mountPath: /tmp
{{- with .Values.tls }}
{{- if .enabled }}
- name: tls
  mountPath: /etc/quaymeter/tls
  readOnly: true
{{- if .clientCA.secret }}
- name: client-ca
  mountPath: /etc/quaymeter/client-ca
  readOnly: true
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.auth.existingSecret }}
- name: callers
  mountPath: /etc/quaymeter/callers
  readOnly: true
{{- end }}
{{- if include "quaymeter.copiesKeys" . }}
- name: keys
  mountPath: /run/quaymeter
  readOnly: true
{{- end }}
{{- if .Values.registry.configMap.name }}
- name: registry
  mountPath: /etc/quaymeter/registry
  readOnly: true
{{- end }}
{{- with include "quaymeter.kafkaMounts" . | trim }}
{{ . }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Each with the selector of these pods, unless it has one. */}}
{{- define "quaymeter.spread" -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "quaymeter.podSelector" . | fromYaml)) -}}
{{- range .Values.topologySpreadConstraints }}
- {{ mustMerge (deepCopy .) (hasKey . "labelSelector" | ternary dict $selector) | toYaml | nindent 2 | trim }}
{{- end -}}
{{- end -}}
