{{/*
What cannot work, whatever a schema says of each value: all of it at once.
*/}}
{{- define "quaymeter.checks" -}}
{{- $faults := list -}}
{{- $faults = concat $faults (include "quaymeter.checks.mode" . | fromYamlArray) -}}
{{- $faults = concat $faults (include "quaymeter.checks.kafka" . | fromYamlArray) -}}
{{- $faults = concat $faults (include "quaymeter.checks.scale" . | fromYamlArray) -}}
{{- $faults = concat $faults (include "quaymeter.checks.pod" . | fromYamlArray) -}}
{{- $faults = concat $faults (include "quaymeter.checks.access" . | fromYamlArray) -}}
{{- if $faults -}}
{{- fail (printf "\n  %s" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}

{{- define "quaymeter.checks.mode" -}}
{{- $v := .Values -}}
{{- if eq $v.mode "embedded" }}
{{- if ne (int $v.replicas) 1 }}
- "replicas: an embedded log has one pod, because one process has a data directory; more need mode kafka"
{{- end }}
{{- if not $v.persistence.enabled }}
- "persistence.enabled: an embedded log needs a volume, or what was acknowledged is lost with its pod"
{{- end }}
{{- if $v.podDisruptionBudget.enabled }}
- "podDisruptionBudget.enabled: of one pod it would keep nodes from being drained, or nothing from happening"
{{- end }}
{{- if include "quaymeter.scaled" . }}
- "autoscaling: an embedded log has one pod; scaling needs mode kafka"
{{- end }}
{{- if $v.kafka.topics.create }}
- "kafka.topics.create: an embedded log has no topics"
{{- end }}
{{- if or $v.kafka.tls.enabled $v.kafka.sasl.mechanism $v.kafka.properties $v.kafka.secretProperties $v.config.kafka.brokers }}
- "kafka, config.kafka: brokers, or how they are spoken to, are told, but mode is embedded"
{{- end }}
{{- end }}
{{- if and $v.persistence.existingClaim (not $v.persistence.enabled) }}
- "persistence.existingClaim: is set, but persistence.enabled is false"
{{- end }}
{{- end -}}

{{- define "quaymeter.checks.kafka" -}}
{{- $v := .Values -}}
{{- if eq $v.mode "kafka" }}
{{- if not $v.config.kafka.brokers }}
- "config.kafka.brokers: mode kafka needs brokers"
{{- end }}
{{- if not $v.pseudonymKey.secret.name }}
- "pseudonymKey.secret.name: in mode kafka all pods need the same key, so it must be in a Secret"
{{- end }}
{{- if $v.persistence.existingClaim }}
- "persistence.existingClaim: in mode kafka each pod has a volume of its own"
{{- end }}
{{- if lt (int ($v.config.kafka.replication | default 3)) (int ($v.config.kafka.min_insync | default 2)) }}
- "config.kafka.min_insync: not more replicas can have a record than there are (config.kafka.replication)"
{{- end }}
{{- end }}
{{- if and (not $v.kafka.tls.enabled) (or $v.kafka.tls.caSecret.name $v.kafka.tls.certificateSecret) }}
- "kafka.tls: Secrets are named, but kafka.tls.enabled is false"
{{- end }}
{{- if and $v.kafka.sasl.mechanism (not $v.kafka.sasl.secret.name) }}
- "kafka.sasl.secret.name: a mechanism needs user and password"
{{- end }}
{{- if and $v.kafka.sasl.secret.name (not $v.kafka.sasl.mechanism) }}
- "kafka.sasl.mechanism: user and password need a mechanism"
{{- end }}
{{- $twice := list }}
{{- if or $v.kafka.tls.enabled $v.kafka.sasl.mechanism }}
{{- $twice = list "security.protocol" "sasl.mechanism" "sasl.mechanisms" "ssl.ca.location" "ssl.certificate.location" "ssl.key.location" }}
{{- end }}
{{- range $v.kafka.secretProperties }}
{{- $twice = append $twice .property }}
{{- end }}
{{- range $twice }}
{{- if hasKey $v.kafka.properties . }}
- {{ printf "kafka.properties: %s is said twice, here and by kafka.tls, kafka.sasl or kafka.secretProperties" . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "quaymeter.checks.scale" -}}
{{- $v := .Values -}}
{{- $partitions := int $v.config.kafka.partitions -}}
{{- $fewest := int $v.replicas -}}
{{- if include "quaymeter.scaled" . }}
{{- $fewest = int $v.autoscaling.minReplicas }}
{{- if and $v.autoscaling.hpa.enabled $v.autoscaling.keda.enabled }}
- "autoscaling: hpa and keda would scale against each other; enable one of them"
{{- end }}
{{- if gt (int $v.autoscaling.maxReplicas) $partitions }}
- {{ printf "autoscaling.maxReplicas: pods beyond the %d partitions (config.kafka.partitions) have no work" $partitions | quote }}
{{- end }}
{{- if gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas) }}
- "autoscaling.minReplicas: is more than maxReplicas"
{{- end }}
{{- if and $v.autoscaling.hpa.enabled (not $v.autoscaling.hpa.targetCPUUtilizationPercentage) (not $v.autoscaling.hpa.metrics) }}
- "autoscaling.hpa: nothing to scale by; set targetCPUUtilizationPercentage or metrics"
{{- end }}
{{- if and $v.autoscaling.hpa.enabled $v.autoscaling.hpa.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" $v.resources)) }}
- "autoscaling.hpa.targetCPUUtilizationPercentage: is of resources.requests.cpu, which is not set"
{{- end }}
{{- else if gt $fewest $partitions }}
- {{ printf "replicas: pods beyond the %d partitions (config.kafka.partitions) have no work" $partitions | quote }}
{{- end }}
{{- with $v.podDisruptionBudget }}
{{- if and .enabled (eq $v.mode "kafka") }}
{{- $min := ne (toString .minAvailable) "" }}
{{- $max := ne (toString .maxUnavailable) "" }}
{{- if and $min $max }}
- "podDisruptionBudget: minAvailable and maxUnavailable exclude each other"
{{- end }}
{{- if and $max (has (toString .maxUnavailable) (list "0" "0%")) }}
- "podDisruptionBudget.maxUnavailable: 0 keeps every node from being drained"
{{- end }}
{{- if and $min (or (eq (toString .minAvailable) "100%") (and (not (kindIs "string" .minAvailable)) (ge (int .minAvailable) $fewest))) }}
- {{ printf "podDisruptionBudget.minAvailable: with %d pods it keeps every node from being drained" $fewest | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "quaymeter.checks.pod" -}}
{{- $v := .Values -}}
{{- $drain := int64 $v.config.drain_deadline_ms -}}
{{- /* Streams may take the deadline, then what waits for Kafka; then the state is stored. */ -}}
{{- $least := add (int $v.preStopSleepSeconds) (div (add (mul 2 $drain) 999) 1000) 5 }}
{{- if lt (int64 $v.terminationGracePeriodSeconds) $least }}
- {{ printf "terminationGracePeriodSeconds: must be at least %d: preStopSleepSeconds, twice config.drain_deadline_ms, and 5" $least | quote }}
{{- end }}
{{- range $v.extraEnv }}
{{- if and (hasPrefix "QUAYMETER_" .name) (not (hasPrefix "QUAYMETER_KAFKA_PROPERTY_" .name)) }}
- {{ printf "extraEnv: %s would win over what is checked here; settings belong into config" .name | quote }}
{{- end }}
{{- end }}
{{- if and (ne $v.service.type "LoadBalancer") $v.service.loadBalancerClass }}
- "service.loadBalancerClass: is set, but service.type is not LoadBalancer"
{{- end }}
{{- end -}}

{{- define "quaymeter.checks.access" -}}
{{- $v := .Values -}}
{{- with $v.tls }}
{{- if and .enabled (not .secret) }}
- "tls.secret: TLS needs the Secret of a certificate"
{{- end }}
{{- if and (not .enabled) (or .secret .clientCA.secret (ne .clients "none")) }}
- "tls: Secrets are named, or clients asked for certificates, but tls.enabled is false"
{{- end }}
{{- if and (ne .clients "none") (not .clientCA.secret) }}
- "tls.clientCA.secret: clients' certificates need authorities that vouch for them"
{{- end }}
{{- if and (eq .clients "none") .clientCA.secret }}
- "tls.clients: none, but tls.clientCA names a Secret; say optional or required"
{{- end }}
{{- end }}
{{- if and $v.auth.keysKey (not $v.auth.existingSecret) }}
- "auth.keysKey: is a key in auth.existingSecret, which is not set"
{{- end }}
{{- if not $v.insecureIKnow }}
{{- if not (and $v.tls.enabled $v.auth.existingSecret) }}
- "tls.enabled, auth.existingSecret: without both whoever reaches the pods may do everything; insecureIKnow: true says that this is meant"
{{- end }}
{{- end }}
{{- end -}}
