{{/* One line of TOML. A number that came by a flag or a file is a float here. */}}
{{- define "quaymeter.config.line" -}}
{{- $value := index . 1 -}}
{{- if kindIs "string" $value -}}
{{ index . 0 }} = {{ $value | mustToRawJson }}
{{- else if kindIs "bool" $value -}}
{{ index . 0 }} = {{ $value }}
{{- else if ne (float64 $value) (floor $value) -}}
{{ index . 0 }} = {{ $value }}
{{- else -}}
{{ index . 0 }} = {{ int64 $value }}
{{- end -}}
{{- end -}}

{{/* The settings, with those that are the chart's. */}}
{{- define "quaymeter.config.settings" -}}
{{- $kafka := eq .Values.mode "kafka" -}}
{{- $own := dict
    "listen" "0.0.0.0:7070"
    "http_listen" "0.0.0.0:7071"
    "health_listen" "0.0.0.0:7072"
    "data_dir" "/var/lib/quaymeter/data"
    "log" (dict "kind" .Values.mode) -}}
{{- if .Values.pseudonymKey.secret.name -}}
{{- $_ := set $own "pseudonym_key" "/run/quaymeter/pseudonyms.key" -}}
{{- end -}}
{{- if .Values.tls.enabled -}}
{{- $tls := dict "cert" "/etc/quaymeter/tls/tls.crt" "key" "/etc/quaymeter/tls/tls.key" "clients" .Values.tls.clients -}}
{{- if .Values.tls.clientCA.secret -}}
{{- $_ := set $tls "client_ca" "/etc/quaymeter/client-ca/ca.crt" -}}
{{- end -}}
{{- $_ := set $own "tls" $tls -}}
{{- end -}}
{{- if .Values.auth.existingSecret -}}
{{- $_ := set $own "callers" (printf "/etc/quaymeter/callers/%s" .Values.auth.callersKey) -}}
{{- if .Values.auth.keysKey -}}
{{- $_ := set $own "caller_keys" "/run/quaymeter/callers.keys" -}}
{{- end -}}
{{- end -}}
{{- if .Values.insecureIKnow -}}
{{- $_ := set $own "insecure_i_know" true -}}
{{- end -}}
{{- if .Values.registry.configMap.name -}}
{{- $_ := set $own "registry" "/etc/quaymeter/registry/registry.csv" -}}
{{- end -}}
{{- $given := deepCopy .Values.config -}}
{{- if not $kafka -}}
{{- $given = omit $given "kafka" -}}
{{- else if include "quaymeter.properties" . -}}
{{- $_ := set $own "kafka" (dict "properties" "/etc/quaymeter/config/kafka.properties") -}}
{{- end -}}
{{- mustMergeOverwrite $given $own | toJson -}}
{{- end -}}

{{/* quaymeter.toml: what belongs to no table first, as TOML wants it. */}}
{{- define "quaymeter.config" -}}
{{- $settings := include "quaymeter.config.settings" . | fromJson -}}
{{- range $name := keys $settings | sortAlpha -}}
{{- $value := get $settings $name -}}
{{- if not (kindIs "map" $value) }}
{{ include "quaymeter.config.line" (list $name $value) }}
{{- end -}}
{{- end -}}
{{- range $table := keys $settings | sortAlpha -}}
{{- $values := get $settings $table -}}
{{- if kindIs "map" $values }}
[{{ $table }}]
{{- range $name := keys $values | sortAlpha }}
{{ include "quaymeter.config.line" (list $name (get $values $name)) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* librdkafka's properties that are no secret. */}}
{{- define "quaymeter.properties" -}}
{{- $tls := .Values.kafka.tls -}}
{{- $sasl := .Values.kafka.sasl.mechanism -}}
{{- $all := deepCopy .Values.kafka.properties -}}
{{- if or $tls.enabled $sasl -}}
{{- $_ := set $all "security.protocol" (ternary (ternary "sasl_ssl" "ssl" (ne $sasl "")) "sasl_plaintext" $tls.enabled) -}}
{{- end -}}
{{- if $sasl -}}
{{- $_ := set $all "sasl.mechanism" $sasl -}}
{{- end -}}
{{- if and $tls.enabled $tls.caSecret.name -}}
{{- $_ := set $all "ssl.ca.location" "/etc/quaymeter/kafka-ca/ca.crt" -}}
{{- end -}}
{{- if and $tls.enabled $tls.certificateSecret -}}
{{- $_ := set $all "ssl.certificate.location" "/etc/quaymeter/kafka-certificate/tls.crt" -}}
{{- $_ := set $all "ssl.key.location" "/etc/quaymeter/kafka-certificate/tls.key" -}}
{{- end -}}
{{- range $name := keys $all | sortAlpha }}
{{ $name }} = {{ get $all $name }}
{{- end -}}
{{- end -}}

{{/* The files of the ConfigMap, of the service's and of the hook's. */}}
{{- define "quaymeter.configData" -}}
quaymeter.toml: |
  {{- include "quaymeter.config" . | trim | nindent 2 }}
{{- if eq .Values.mode "kafka" }}
{{- with include "quaymeter.properties" . | trim }}
kafka.properties: |
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
