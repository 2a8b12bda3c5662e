package audit

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/validator"
)

// largestReport bounds one Report, in bytes of JSON. The API server takes 1.5 MiB of etcd, of
// which metadata and managed fields are a part.
const largestReport = 1 << 20

// The label of all reports says which audit wrote them, so that those of audits before can be
// deleted.
const (
	reportAPI  = "openreports.io/v1alpha1"
	reportName = "tekgate-audit"
	auditLabel = "tekgate.dev/audit"
	managedBy  = "app.kubernetes.io/managed-by"
	policyName = "tekgate"
)

// The fields of the OpenReports API that are written (github.com/openreports/reports-api v0.2.1).
// Its types would link the client of the API server a second time.
type (
	openReport struct {
		APIVersion string             `json:"apiVersion"`
		Kind       string             `json:"kind"`
		Metadata   openMetadata       `json:"metadata"`
		Source     string             `json:"source"`
		Scope      *openSubject       `json:"scope,omitempty"`
		Summary    map[string]int     `json:"summary"`
		Results    []openReportResult `json:"results"`
	}
	openMetadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace,omitempty"`
		Labels    map[string]string `json:"labels"`
	}
	openReportResult struct {
		Source     string            `json:"source"`
		Policy     string            `json:"policy"`
		Rule       string            `json:"rule,omitempty"`
		Category   string            `json:"category"`
		Severity   string            `json:"severity,omitempty"`
		Timestamp  openTime          `json:"timestamp"`
		Result     string            `json:"result"`
		Scored     bool              `json:"scored"`
		Subjects   []openSubject     `json:"resources"`
		Message    string            `json:"message"`
		Properties map[string]string `json:"properties,omitempty"`
	}
	openSubject struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Namespace  string `json:"namespace,omitempty"`
		Name       string `json:"name"`
	}
	openTime struct {
		Seconds int64 `json:"seconds"`
		Nanos   int64 `json:"nanos"`
	}
)

// openSeverities are the severities of OpenReports.
var openSeverities = map[validator.Severity]string{validator.Error: "high", validator.Warning: "medium",
	validator.Info: "info"}

// openReports writes one Report for each namespace in which something was judged, several where
// there is too much for one, and a ClusterReport for objects of the cluster.
func (r *auditReport) openReports(out io.Writer) error {
	for _, namespace := range slices.Sorted(maps.Keys(r.namespaces)) {
		results := r.resultsIn(namespace)
		for i, part := range parted(results) {
			text, err := yaml.Marshal(r.openReport(namespace, i, part))
			if err != nil {
				return fmt.Errorf("encoding the report of %s: %w", title(namespace), err)
			}
			if _, err := fmt.Fprintf(out, "---\n%s", text); err != nil {
				return err
			}
		}
	}
	return nil
}

// openReport is a part of what was found in a namespace, "" for the cluster.
func (r *auditReport) openReport(namespace string, part int, results []openReportResult) openReport {
	report := openReport{
		APIVersion: reportAPI, Kind: "Report", Source: policyName, Results: results,
		Metadata: openMetadata{Name: reportName, Namespace: namespace, Labels: map[string]string{
			managedBy: policyName, auditLabel: strconv.FormatInt(r.Time.Unix(), 10),
		}},
		Scope:   &openSubject{APIVersion: "v1", Kind: "Namespace", Name: namespace},
		Summary: map[string]int{"pass": 0, "fail": 0, "warn": 0, "error": 0, "skip": 0},
	}
	if namespace == "" {
		report.Kind, report.Scope = "ClusterReport", nil
	}
	if part > 0 {
		report.Metadata.Name += "-" + strconv.Itoa(part+1)
	}
	for _, result := range results {
		report.Summary[result.Result]++
	}
	return report
}

// resultsIn returns what was found in a namespace: findings, what is excepted, and what could not
// be judged.
func (r *auditReport) resultsIn(namespace string) []openReportResult {
	results := []openReportResult{}
	for _, f := range r.Findings {
		if f.Object.Namespace == namespace {
			results = append(results, r.result(f, resultOf(f.Mode), f.Path+": "+f.Message))
		}
	}
	for _, e := range r.Excepted {
		if e.Object.Namespace == namespace {
			result := r.result(e.auditFinding, "skip", fmt.Sprintf("excepted until %s: %s", e.Until, e.Reason))
			result.Properties["until"] = e.Until
			results = append(results, result)
		}
	}
	for _, u := range r.Unknown {
		for _, what := range u.What {
			if u.Object.Namespace == namespace {
				result := r.result(auditFinding{Object: u.Object}, "error", what)
				results = append(results, result)
			}
		}
	}
	return results
}

// resultOf is fail for what the webhook would refuse.
func resultOf(mode validator.Mode) string {
	if mode == validator.Enforce {
		return "fail"
	}
	return "warn"
}

// longestMessage bounds the message of a result, in characters: names in an object have no bound.
const longestMessage = 2000

func (r *auditReport) result(f auditFinding, result, message string) openReportResult {
	if runes := []rune(message); len(runes) > longestMessage {
		message = string(runes[:longestMessage]) + "…"
	}
	out := openReportResult{
		Source:    policyName,
		Policy:    policyName,
		Rule:      f.Rule,
		Category:  "Tekton",
		Severity:  openSeverities[f.Severity],
		Timestamp: openTime{Seconds: r.Time.Unix()},
		Result:    result,
		Scored:    result == "fail",
		Message:   message,
		Subjects:  []openSubject{{f.Object.APIVersion, f.Object.Kind, f.Object.Namespace, f.Object.Name}},
	}
	if f.Rule != "" {
		out.Properties = map[string]string{"mode": string(f.Mode), "finding": fingerprint(f)}
	}
	return out
}

// fingerprint is the same for the same finding in every audit.
func fingerprint(f auditFinding) string {
	o := f.Object
	text := fmt.Sprintf("%q", []string{f.Rule, o.APIVersion, o.Kind, o.Namespace, o.Name, f.Path, f.Message})
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// parted splits results so that each part fits into one object. There is one part at least.
func parted(results []openReportResult) [][]openReportResult {
	parts := [][]openReportResult{{}}
	size := 0
	for _, result := range results {
		text, err := json.Marshal(result)
		own := cmp.Or(len(text), longestMessage)
		if err == nil && size+own > largestReport && size > 0 {
			parts, size = append(parts, []openReportResult{}), 0
		}
		size += own + 1
		parts[len(parts)-1] = append(parts[len(parts)-1], result)
	}
	return parts
}

// saidOfReports says how the reports of audits before are removed.
func (r *auditReport) saidOfReports() string {
	return fmt.Sprintf(
		"note: once these are applied, delete those of audits before with: kubectl delete reports.openreports.io,clusterreports.openreports.io -A -l '%s=%s,%s!=%d'",
		managedBy,
		policyName,
		auditLabel,
		r.Time.Unix(),
	)
}
