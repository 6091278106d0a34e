{{- define "candy-agent.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "candy-agent.selector" -}}
app.kubernetes.io/name: {{ include "candy-agent.name" . }}
{{- end }}

{{- define "candy-agent.metadata" -}}
name: {{ include "candy-agent.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "candy-agent.selector" . | nindent 2 }}
{{- end }}

{{- define "candy-agent.subjects" -}}
- kind: ServiceAccount
  name: {{ include "candy-agent.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
