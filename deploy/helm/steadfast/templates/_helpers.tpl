{{- define "steadfast.name" -}}
{{ .Values.nameOverride }}
{{- end }}

{{- /* What selects the pods. Never changes: a StatefulSet's selector cannot. */}}
{{- define "steadfast.selector" -}}
app.kubernetes.io/name: {{ include "steadfast.name" . }}
{{- end }}

{{- define "steadfast.labels" -}}
{{ include "steadfast.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Where clients find the HTTP API. */}}
{{- define "steadfast.clientUrl" -}}
{{- $service := .Values.influxdbService.enabled | ternary .Values.influxdbService.name (include "steadfast.name" .) -}}
http{{ if .Values.tls.http.existingSecret }}s{{ end }}://{{ $service }}.{{ .Release.Namespace }}.svc:8086
{{- end }}

{{- /* What is the same on all nodes; what differs is in the environment. */}}
{{- define "steadfast.config" -}}
[node]
data_dir = "/var/lib/steadfast"
http_addr = "0.0.0.0:8086"
admin_addr = "0.0.0.0:8083"
peer_addr = "0.0.0.0:8088"
# The founding members, for ever: pods that are added later are not put here.
peers = [
{{- $name := include "steadfast.name" . }}
{{- range $ordinal := until (int .Values.founders) }}
  "{{ $name }}-{{ $ordinal }}.{{ $name }}-peers:8088",
{{- end }}
]
{{ range $section, $keys := .Values.config }}
{{- if eq $section "node" }}{{ fail "config.node is the chart's own; use env" }}{{ end }}
[{{ $section }}]
{{- range $key, $value := $keys }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{ end }}
{{- end }}
