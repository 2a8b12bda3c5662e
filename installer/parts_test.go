package installer_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// withComponent returns a release of Pipelines and one embedded component.
func withComponent(t *testing.T, name string) installer.Release {
	t.Helper()
	component, ok := release.FindComponent(name)
	if !ok {
		t.Fatalf("no component %s", name)
	}
	embedded, err := manifests.Component(component)
	if err != nil {
		t.Fatal(err)
	}
	r := installer.Release{Objects: embedded.Objects,
		Parts: []installer.Part{installer.NewPart(name, true, embedded.Objects)}}
	r.Versions = installer.VersionsOf(r.Objects, r.Parts...)
	r.Versions.Pipeline = release.Newest().Pipeline
	return r
}

// TestParts holds what is found out about each component, in a cluster that has the objects.
func TestParts(t *testing.T) {
	const (
		postgres = "apiVersion: v1\nkind: Secret\nmetadata: {name: tekton-results-postgres, namespace: tekton-pipelines}\n" +
			"data: {POSTGRES_USER: eA==, POSTGRES_PASSWORD: eA==}\n"
		noUser    = "apiVersion: v1\nkind: Secret\nmetadata: {name: tekton-results-postgres, namespace: tekton-pipelines}\ndata: {POSTGRES_PASSWORD: eA==}\n"
		tls       = "apiVersion: v1\nkind: Secret\nmetadata: {name: tekton-results-tls, namespace: tekton-pipelines}\ndata: {tls.crt: eA==, tls.key: eA==}\n"
		external  = "apiVersion: v1\nkind: Service\nmetadata: {name: tekton-results-postgres-service, namespace: tekton-pipelines}\nspec: {type: ExternalName}\n"
		service   = "apiVersion: v1\nkind: Service\nmetadata: {name: tekton-results-postgres-service, namespace: tekton-pipelines}\nspec: {type: ClusterIP}\n"
		key       = "apiVersion: v1\nkind: Secret\nmetadata: {name: signing-secrets, namespace: tekton-chains}\ndata: {cosign.key: eA==}\n"
		fulcio    = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: chains-config, namespace: tekton-chains}\ndata: {signers.x509.fulcio.enabled: \"true\"}\n"
		elsewhere = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tekton-results-api-config, namespace: tekton-pipelines}\n" +
			"data: {config: \"DB_HOST=db.example.com\\nDB_SSLMODE=verify-full\\n\"}\n"
	)
	tests := []struct {
		name, component, server, pipeline string
		has                               []string
		want                              []string // beginnings of sentences; ! marks fatal ones
	}{
		{name: "Results without anything", component: "results", want: []string{
			"!Tekton Results needs Secret/tekton-pipelines/tekton-results-postgres with POSTGRES_PASSWORD, POSTGRES_USER, which does not exist",
			"!Tekton Results needs Secret/tekton-pipelines/tekton-results-tls with tls.crt, tls.key, which does not exist",
			"Tekton Results talks to PostgreSQL without TLS",
			"!Tekton Results needs a PostgreSQL database at tekton-results-postgres-service.tekton-pipelines.svc.cluster.local",
		}},
		{name: "Results with a key too few", component: "results", has: []string{noUser, tls, external}, want: []string{
			"!Tekton Results needs Secret/tekton-pipelines/tekton-results-postgres with POSTGRES_PASSWORD, POSTGRES_USER, which has no POSTGRES_USER",
			"Tekton Results talks to PostgreSQL without TLS",
		}},
		{name: "Results and a database that is down", component: "results",
			has: []string{postgres, tls, service}, want: []string{
				"Tekton Results talks to PostgreSQL without TLS",
				"Tekton Results needs the PostgreSQL database behind Service/tekton-pipelines/tekton-results-postgres-service, which has no endpoint",
			}},
		{name: "Results and a database elsewhere", component: "results", has: []string{postgres, tls, elsewhere}},
		{name: "Results of a newer Pipelines", component: "results", pipeline: "v1.12.2",
			has: []string{postgres, tls, elsewhere}, want: []string{"Tekton Results v0.20.0 is built with Tekton Pipelines v1.15.0, and this release has v1.12.2"}},
		{name: "Chains without a key", component: "chains", want: []string{"Tekton Chains has no key and signs nothing"}},
		{name: "Chains with a key", component: "chains", has: []string{key}},
		{name: "Chains with Fulcio", component: "chains", has: []string{fulcio}},
		{name: "the Dashboard", component: "dashboard", want: []string{"Tekton Dashboard is read-only and has no login"}},
		{name: "the Dashboard on an old server", component: "dashboard", server: "v1.30.4", want: []string{
			"Tekton Dashboard v0.69.0 is made for Kubernetes 1.31.0 and newer, and the server runs v1.30.4",
			"Tekton Dashboard is read-only",
		}},
		{name: "the Pruner", component: "pruner"},
		{name: "the Manual Approval Gate", component: "manual-approval-gate", want: []string{
			"Manual Approval Gate lets system:authenticated change runs, taskruns, customruns, approvaltasks in all namespaces",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := withComponent(t, tt.component)
			facts := installer.Facts{Server: "v1.37.2", Live: map[string]*unstructured.Unstructured{},
				Needed: map[string]*unstructured.Unstructured{}}
			for _, missing := range []string{postgres, tls, external} {
				facts.Needed[kube.Identity(parse(t, missing)[0])] = nil
			}
			for _, text := range tt.has {
				obj := parse(t, text)[0]
				facts.Live[kube.Identity(obj)], facts.Needed[kube.Identity(obj)] = obj, obj
			}
			if tt.server != "" {
				facts.Server = tt.server
			}
			if tt.pipeline != "" {
				r.Versions.Pipeline = tt.pipeline
			}
			findings := installer.Preflight(r, facts)
			if len(findings) != len(tt.want) {
				t.Fatalf("found %v, want %q", findings, tt.want)
			}
			for i, want := range tt.want {
				text, fatal := strings.CutPrefix(want, "!")
				if findings[i].Fatal != fatal || !strings.HasPrefix(findings[i].Sentence, text) ||
					findings[i].Remedy == "" {
					t.Errorf("found %+v, want %q", findings[i], want)
				}
			}
		})
	}
}

// TestVersionsOfOthers holds that the label of Pipelines on Chains' Deployment, with Chains'
// version, is not taken for the version of Pipelines.
func TestVersionsOfOthers(t *testing.T) {
	for _, component := range release.Components {
		embedded, err := manifests.Component(component)
		if err != nil {
			t.Fatal(err)
		}
		v := installer.VersionsOf(embedded.Objects)
		if v.Pipeline != "" || v.Triggers != "" || len(v.Components) != 1 ||
			v.Components[component.Name] != component.Version {
			t.Errorf("%s: versions %+v", component.Name, v)
		}
	}
}

// TestDropped holds that only what the user drops may be removed.
func TestDropped(t *testing.T) {
	tests := []struct {
		name    string
		dropped []string
		older   bool
		fatal   bool
	}{
		{"not named", nil, false, true},
		{"dropped", []string{"chains"}, false, false},
		{"another is dropped", []string{"results"}, false, true},
		{"a rollback", nil, true, false},
	}
	for _, tt := range tests {
		facts := installer.Facts{Server: "v1.37.2", Older: tt.older, Inventory: &installer.Inventory{Complete: true,
			Versions: installer.Versions{Components: map[string]string{"chains": "v0.28.1"}}}}
		findings := installer.Preflight(installer.Release{Dropped: tt.dropped}, facts)
		if len(findings) != 1 || findings[0].Fatal != tt.fatal ||
			!strings.HasPrefix(findings[0].Sentence, "Tekton Chains v0.28.1 is installed") {
			t.Errorf("%s: %+v", tt.name, findings)
		}
	}
}
