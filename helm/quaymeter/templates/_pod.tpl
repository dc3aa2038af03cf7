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

{{- define "quaymeter.volumes" -}}
- name: config
  configMap:
    name: {{ include "quaymeter.fullname" . }}
- name: tmp
  emptyDir: {}
{{- if .Values.pseudonymKey.secret.name }}
- name: pseudonym-secret
  secret:
    secretName: {{ .Values.pseudonymKey.secret.name }}
    defaultMode: 0440
    items:
      - key: {{ .Values.pseudonymKey.secret.key | quote }}
        path: pseudonyms.key
- name: pseudonym-key
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
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
{{- if .Values.pseudonymKey.secret.name }}
- name: pseudonym-key
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
