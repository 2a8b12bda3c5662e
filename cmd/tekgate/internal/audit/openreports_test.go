package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/validator"
)

// reported is an audit of two namespaces and the cluster.
func reported(findings int) *auditReport {
	r := newAuditReport("https://example.com", time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	object := func(namespace, kind, name string) auditObject {
		return auditObject{APIVersion: "tekton.dev/v1", Kind: kind, Namespace: namespace, Name: name}
	}
	for _, namespace := range []string{"ci", "quiet", ""} {
		r.namespaces[namespace] = true
	}
	task := object("ci", "Task", "build")
	for i := range findings {
		r.Findings = append(r.Findings, auditFinding{
			Object:   task,
			Rule:     "privileged",
			Severity: validator.Warning,
			Mode:     validator.Enforce,
			Path:     fmt.Sprintf("spec.steps[%d]", i),
			Message:  "it runs privileged " + strings.Repeat("x", 1900),
		})
	}
	r.Findings = append(
		r.Findings,
		auditFinding{
			Object:   object("", "ClusterTask", "old"),
			Rule:     "removed-api",
			Severity: validator.Error,
			Mode:     validator.Warn,
			Path:     "apiVersion",
			Message:  strings.Repeat("ü", 5000),
		},
		auditFinding{
			Object:   task,
			Rule:     "unused-param",
			Severity: validator.Info,
			Mode:     validator.Audit,
			Path:     "spec.params[0]",
			Message:  "unused",
		},
	)
	r.Excepted = append(
		r.Excepted,
		auditException{Until: "2027-01-31", Reason: "moving", auditFinding: auditFinding{
			Object:   task,
			Rule:     "image-latest",
			Severity: validator.Warning,
			Mode:     validator.Warn,
			Path:     "spec.steps[0].image",
			Message:  "latest",
		}},
	)
	r.Unknown = append(r.Unknown, auditUnknown{task, []string{"a look-up failed"}})
	return r
}

// written returns the reports as the command prints them.
func written(t *testing.T, r *auditReport) []string {
	t.Helper()
	var out, again bytes.Buffer
	if err := r.openReports(&out); err != nil {
		t.Fatal(err)
	}
	if err := r.openReports(&again); err != nil || out.String() != again.String() {
		t.Errorf("a second time it is something else, error %v", err)
	}
	return strings.Split(strings.TrimPrefix(out.String(), "---\n"), "\n---\n")
}

// TestOpenReports holds the reports to the types of the API: no field is unknown, counts are
// right, and each fits into an object.
func TestOpenReports(t *testing.T) {
	names := map[string]bool{}
	total := openreports.ReportSummary{}
	for _, text := range written(t, reported(1500)) {
		raw, err := yaml.YAMLToJSONStrict([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var report openreports.Report
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&report); err != nil {
			t.Fatalf("%v in %.300s", err, text)
		}
		if len(raw) > 1200<<10 {
			t.Errorf("%s has %d bytes", report.Name, len(raw))
		}
		if problems := validation.IsDNS1123Subdomain(report.Name); len(problems) > 0 {
			t.Errorf("%q is no name: %v", report.Name, problems)
		}
		if report.Labels[auditLabel] != "1795608000" || report.Labels[managedBy] != "tekgate" ||
			report.Source != "tekgate" {
			t.Errorf("labels %v, source %q", report.Labels, report.Source)
		}
		names[report.Kind+" "+report.Namespace+"/"+report.Name] = true
		counted := openreports.ReportSummary{}
		for _, result := range report.Results {
			count(t, &counted, result)
			if o := result.Subjects[0]; o.Namespace != report.Namespace || result.Timestamp.Seconds != 1795608000 {
				t.Errorf(
					"%s/%s has a result about %s/%s at %d",
					report.Namespace,
					report.Name,
					o.Namespace,
					o.Name,
					result.Timestamp.Seconds,
				)
			}
		}
		if counted != report.Summary {
			t.Errorf("%s: summary %+v, counted %+v", report.Name, report.Summary, counted)
		}
		total.Fail += counted.Fail
		total.Warn += counted.Warn
		total.Skip += counted.Skip
		total.Error += counted.Error
	}
	for _, want := range []string{"ClusterReport /tekgate-audit", "Report ci/tekgate-audit", "Report ci/tekgate-audit-2",
		"Report ci/tekgate-audit-4", "Report quiet/tekgate-audit"} {
		if !names[want] {
			t.Errorf("no %s in %v", want, names)
		}
	}
	if want := (openreports.ReportSummary{Fail: 1500, Warn: 2, Skip: 1, Error: 1}); total != want {
		t.Errorf("got %+v, want %+v", total, want)
	}
}

func count(t *testing.T, in *openreports.ReportSummary, result openreports.ReportResult) {
	t.Helper()
	if result.Policy != "tekgate" || result.Category == "" || result.Description == "" {
		t.Errorf("a result lacks something: %+v", result)
	}
	switch result.Result {
	case "fail":
		in.Fail++
	case "warn":
		in.Warn++
	case "skip":
		in.Skip++
	case "error":
		in.Error++
	default:
		t.Errorf("the result %q does not exist", result.Result)
	}
}

// TestOpenReportsStored holds that an API server with the CRDs of the OpenReports API stores the
// reports, with every field.
func TestOpenReportsStored(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c, err := client.New(cluster.StartEmpty(t).Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(
		t.Context(),
		c,
		"github.com/openreports/reports-api",
		"config/crd/openreports.io_reports.yaml",
		"config/crd/openreports.io_clusterreports.yaml",
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ci", "quiet"} {
		space := &corev1.Namespace{}
		space.Name = name
		if err := c.Create(t.Context(), space); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range written(t, reported(800)) {
		var report unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(text), &report.Object); err != nil {
			t.Fatal(err)
		}
		apply := client.ApplyConfigurationFromUnstructured(&report)
		if err := c.Apply(t.Context(), apply, client.FieldOwner("test"), client.ForceOwnership); err != nil {
			t.Errorf("applying %s %s: %v", report.GetKind(), report.GetName(), err)
		}
	}
}
