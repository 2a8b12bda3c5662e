package installer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/release"
)

// checkParts reports what the components and further manifests of a release need and lack,
// and what they open.
func checkParts(r Release, facts Facts) []Finding {
	var findings []Finding
	for _, part := range r.Parts {
		objects, title := part.Of(r.Objects), Title(part.Name)
		findings = append(findings, checkNeeds(title, objects, r, facts)...)
		findings = append(findings, checkGrants(title, objects)...)
		if component, known := release.FindComponent(part.Name); known && part.Embedded {
			findings = append(findings, checkSupport(component, r, facts)...)
		}
		switch part.Name {
		case "results":
			findings = append(findings, checkDatabase(title, r, facts)...)
		case "chains":
			findings = append(findings, checkSigner(title, objects, facts)...)
		case "dashboard":
			findings = append(findings, checkDashboard(title, objects)...)
		}
	}
	return findings
}

// checkSupport compares with what an embedded component was built and tested with.
func checkSupport(c release.Component, r Release, facts Facts) []Finding {
	var findings []Finding
	if older(r.Versions.Pipeline, c.Pipeline) {
		findings = append(findings, Finding{Category: "components",
			Sentence: fmt.Sprintf("%s %s is built with Tekton Pipelines %s, and this release has %s", c.Title, c.Version,
				c.Pipeline, r.Versions.Pipeline),
			Remedy: fmt.Sprintf("install a newer line of Pipelines, or the %s that was made for this one with --manifest %s=SOURCE",
				c.Title, c.Name)})
	}
	if older(facts.Server, c.Kubernetes) {
		findings = append(findings, Finding{Category: "components",
			Sentence: fmt.Sprintf("%s %s is made for Kubernetes %s and newer, and the server runs %s", c.Title, c.Version,
				c.Kubernetes, facts.Server),
			Remedy: "its project does not test it on older ones: try it, or upgrade the cluster"})
	}
	return findings
}

// older reports whether a version is of an older minor version than a minimum. Versions that
// cannot be read are not.
func older(version, minimum string) bool {
	v, err1 := semver.NewVersion(version)
	m, err2 := semver.NewVersion(minimum)
	return err1 == nil && err2 == nil &&
		(v.Major() < m.Major() || v.Major() == m.Major() && v.Minor() < m.Minor())
}

// anyone are the groups and users that stand for every user of a cluster, or for more.
var anyone = []string{"system:authenticated", "system:unauthenticated", "system:anonymous", "system:serviceaccounts"}

// writing are the verbs that change objects.
var writing = []string{"create", "update", "patch", "delete", "deletecollection", "*"}

// checkGrants reports bindings that let every user of the cluster change objects: the
// Manual Approval Gate binds its controller's ClusterRole to system:authenticated.
func checkGrants(title string, objects []*unstructured.Unstructured) []Finding {
	var findings []Finding
	for _, binding := range objects {
		if binding.GetKind() != "ClusterRoleBinding" {
			continue
		}
		for _, subject := range live.Maps(binding.Object, "subjects") {
			group, _ := subject["name"].(string)
			writable := writes(objects, live.Text(binding.Object, "roleRef", "name"))
			if !slices.Contains(anyone, group) || len(writable) == 0 {
				continue
			}
			findings = append(findings, Finding{Category: "components",
				Sentence: fmt.Sprintf("%s lets %s change %s in all namespaces, by %s", title, group,
					strings.Join(writable, ", "), kube.Name(binding)),
				Remedy: "remove that subject from the manifest and name it with --manifest, and grant it where it is needed"})
		}
	}
	return findings
}

// writes returns the resources that a ClusterRole among the objects allows to change.
func writes(objects []*unstructured.Unstructured, role string) []string {
	var resources []string
	for _, obj := range objects {
		if obj.GetKind() != "ClusterRole" || obj.GetName() != role {
			continue
		}
		for _, rule := range live.Maps(obj.Object, "rules") {
			verbs, _, _ := unstructured.NestedStringSlice(rule, "verbs")
			if !slices.ContainsFunc(verbs, func(v string) bool { return slices.Contains(writing, v) }) {
				continue
			}
			names, _, _ := unstructured.NestedStringSlice(rule, "resources")
			for _, name := range names {
				if !strings.Contains(name, "/") && !slices.Contains(resources, name) {
					resources = append(resources, name)
				}
			}
		}
	}
	return resources
}

// database is where Results keeps what it stores.
type database struct {
	host, sslMode string
	service       *unstructured.Unstructured // of the cluster; nil if the host is none's
}

// databaseOf returns the database of Results by its ConfigMap, as the cluster has it or else
// as the release does.
func databaseOf(objects []*unstructured.Unstructured, current map[string]*unstructured.Unstructured) database {
	var d database
	for _, obj := range objects {
		if obj.GetKind() != "ConfigMap" || obj.GetName() != "tekton-results-api-config" {
			continue
		}
		text := ConfigData(obj)["config"]
		if existing := current[kube.Identity(obj)]; existing != nil && ConfigData(existing)["config"] != "" {
			text = ConfigData(existing)["config"]
		}
		for line := range strings.Lines(text) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "DB_HOST":
				d.host = strings.Trim(value, `'"`)
			case "DB_SSLMODE":
				d.sslMode = strings.Trim(value, `'"`)
			}
		}
		if name, rest, ok := strings.Cut(d.host, "."); ok {
			namespace, domain, _ := strings.Cut(rest, ".")
			if domain == "svc" || strings.HasPrefix(domain, "svc.") {
				d.service = NewObject(serviceKind, namespace, name)
			}
		}
	}
	return d
}

func checkDatabase(title string, r Release, facts Facts) []Finding {
	d := databaseOf(r.Objects, facts.Live)
	var findings []Finding
	if d.sslMode == "disable" {
		findings = append(findings, Finding{Category: "components",
			Sentence: title + " talks to PostgreSQL without TLS (DB_SSLMODE=disable in ConfigMap tekton-pipelines/tekton-results-api-config)",
			Remedy:   "if the database is outside the cluster, set DB_SSLMODE=verify-full and DB_SSLROOTCERT there"})
	}
	if d.service == nil || slices.ContainsFunc(r.Objects, func(obj *unstructured.Unstructured) bool {
		return kube.Identity(obj) == kube.Identity(d.service)
	}) {
		return findings
	}
	service, read := facts.Needed[kube.Identity(d.service)]
	switch {
	case read && service == nil:
		findings = append(findings, Finding{Category: "components", Fatal: true,
			Sentence: fmt.Sprintf("%s needs a PostgreSQL database at %s (DB_HOST in ConfigMap tekton-pipelines/tekton-results-api-config), and %s does not exist",
				title, d.host, kube.Name(d.service)),
			Remedy: fmt.Sprintf("if the database is outside the cluster, run `kubectl -n %s create service externalname %s --external-name DATABASE_HOST`; otherwise make a Service of that name for its Pods",
				d.service.GetNamespace(), d.service.GetName())})
	case read && live.Text(service.Object, "spec", "type") != "ExternalName" &&
		!facts.Serving[kube.Identity(d.service)]:
		findings = append(findings, Finding{Category: "components",
			Sentence: fmt.Sprintf("%s needs the PostgreSQL database behind %s, which has no endpoint", title,
				kube.Name(d.service)),
			Remedy: "start the database: until then the API of Results does not become ready"})
	}
	return findings
}

// checkSigner reports that Chains signs nothing: it starts without a key, and then only logs.
func checkSigner(title string, objects []*unstructured.Unstructured, facts Facts) []Finding {
	var secret, config *unstructured.Unstructured
	for _, obj := range objects {
		switch kube.Name(obj) {
		case "Secret/tekton-chains/signing-secrets":
			secret = facts.Live[kube.Identity(obj)]
		case "ConfigMap/tekton-chains/chains-config":
			config = facts.Live[kube.Identity(obj)]
		}
	}
	if Signs(secret, config) {
		return nil
	}
	return []Finding{{Category: "components",
		Sentence: title + " has no key and signs nothing: Secret tekton-chains/signing-secrets has neither cosign.key nor x509.pem, and ConfigMap tekton-chains/chains-config names no key management service and no Fulcio",
		Remedy:   "after the install run `cosign generate-key-pair k8s://tekton-chains/signing-secrets` and `kubectl -n tekton-chains rollout restart deployment tekton-chains-controller`"}}
}

// Signs reports whether the Secret and the ConfigMap of Chains name a key, or switch signing off.
// Each may be nil.
func Signs(secret, config *unstructured.Unstructured) bool {
	data := map[string]string{}
	if config != nil {
		data = ConfigData(config)
	}
	return hasKey(secret, "cosign.key") || hasKey(secret, "x509.pem") ||
		data["signers.x509.fulcio.enabled"] == "true" ||
		data["artifacts.taskrun.signer"] == "kms" && data["signers.kms.kmsref"] != "" ||
		data["artifacts.taskrun.signer"] == "none"
}

// checkDashboard reports what everyone who can reach the Dashboard can do: it has no login, and
// acts with its own ServiceAccount.
func checkDashboard(title string, objects []*unstructured.Unstructured) []Finding {
	for _, obj := range objects {
		if obj.GetKind() != "Deployment" {
			continue
		}
		for _, container := range live.Containers(obj) {
			args, _, _ := unstructured.NestedStringSlice(container, "args")
			if slices.Contains(args, "--read-only=false") {
				return []Finding{{Category: "components",
					Sentence: title + " is not read-only and has no login: everyone who can reach " + kube.Name(obj) + " can create, change and delete runs in all namespaces",
					Remedy:   "put an authenticating proxy in front of it, or install the read-only release"}}
			}
		}
		return []Finding{{Category: "components",
			Sentence: title + " is read-only and has no login: everyone who can reach " + kube.Name(obj) + " can read the runs and the logs of their Pods in all namespaces",
			Remedy:   "use `kubectl port-forward`, or put an authenticating proxy in front of it"}}
	}
	return nil
}
