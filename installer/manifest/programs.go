package manifest

import (
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/object"
)

// program is the import path of a command that a release of Tekton's holds an image of, such
// as github.com/tektoncd/pipeline/cmd/git-init; "" for none.
type program string

func tekton(component, binary string) program {
	return program("github.com/tektoncd/" + component + "/cmd/" + binary)
}

func (p program) binary() string { return path.Base(string(p)) }

// component returns the name of the repository, such as "pipeline".
func (p program) component() string {
	parts := strings.Split(string(p), "/")
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}

const approvalGate = "github.com/openshift-pipelines/manual-approval-gate/cmd/"

// workload is the program of a workload of Tekton's, and the names of the containers that run
// it beside the first one.
type workload struct {
	program    program
	containers []string
}

// workloads are those of the releases of all components, by their names. They are from the
// folders named config of the components' modules, and of the Operator from its published
// manifests.
var workloads = map[string]workload{
	"tekton-pipelines-controller":           {program: tekton("pipeline", "controller")},
	"tekton-pipelines-webhook":              {program: tekton("pipeline", "webhook")},
	"tekton-pipelines-remote-resolvers":     {program: tekton("pipeline", "resolvers")},
	"tekton-events-controller":              {program: tekton("pipeline", "events")},
	"tekton-triggers-controller":            {program: tekton("triggers", "controller")},
	"tekton-triggers-webhook":               {program: tekton("triggers", "webhook")},
	"tekton-triggers-core-interceptors":     {program: tekton("triggers", "interceptors")},
	"tekton-dashboard":                      {program: tekton("dashboard", "dashboard")},
	"tekton-chains-controller":              {program: tekton("chains", "controller")},
	"tekton-results-api":                    {program: tekton("results", "api")},
	"tekton-results-watcher":                {program: tekton("results", "watcher")},
	"tekton-results-retention-policy-agent": {program: tekton("results", "retention-policy-agent")},
	"tekton-pruner-controller":              {program: tekton("pruner", "controller")},
	"tekton-pruner-webhook":                 {program: tekton("pruner", "webhook")},
	"manual-approval-gate-controller":       {program: approvalGate + "controller"},
	"manual-approval-gate-webhook":          {program: approvalGate + "webhook"},
	"tekton-operator": {program: tekton("operator", "kubernetes/operator"),
		containers: []string{"tekton-operator-cluster-operations"}},
	"tekton-operator-webhook": {program: tekton("operator", "kubernetes/webhook")},
}

// flags are the programs whose images Tekton's controllers read from flags.
var flags = map[string]program{
	"creds-image":                tekton("pipeline", "creds-init"),
	"entrypoint-image":           tekton("pipeline", "entrypoint"),
	"git-image":                  tekton("pipeline", "git-init"),
	"imagedigest-exporter-image": tekton("pipeline", "imagedigestexporter"),
	"kubeconfig-writer-image":    tekton("pipeline", "kubeconfigwriter"),
	"nop-image":                  tekton("pipeline", "nop"),
	"pr-image":                   tekton("pipeline", "pullrequest-init"),
	"sidecarlogresults-image":    tekton("pipeline", "sidecarlogresults"),
	"workingdirinit-image":       tekton("pipeline", "workingdirinit"),
	"el-image":                   tekton("triggers", "eventlistenersink"),
}

// variables are the programs whose images the Operator reads from its environment.
var variables = map[string]program{
	"IMAGE_PIPELINES_PROXY": tekton("operator", "kubernetes/proxy-webhook"),
}

// programs returns all programs that are known, in the order of their import paths.
var programs = sync.OnceValue(func() []program {
	known := map[program]bool{}
	for _, w := range workloads {
		known[w.program] = true
	}
	for _, others := range []map[string]program{flags, variables} {
		for _, p := range others {
			known[p] = true
		}
	}
	return slices.Sorted(maps.Keys(known))
})

// names are what copies of each program's image are called, without separators: its binary,
// and the workloads that run it.
var names = sync.OnceValue(func() map[program][]string {
	all := map[program][]string{}
	for _, p := range programs() {
		all[p] = []string{joined(p.binary())}
	}
	for _, name := range slices.Sorted(maps.Keys(workloads)) {
		p := workloads[name].program
		all[p] = append(all[p], joined(strings.TrimPrefix(name, "tekton-")))
	}
	return all
})

// joined returns a name without its separators.
func joined(name string) string { return separators.ReplaceAllString(name, "") }

// Place is where a reference stands. The zero Place is any place that Tekton's manifests do
// not have.
type Place struct {
	tekton  bool    // in a workload of Tekton's
	program program // that has its image there; "" if none has
	flag    string  // whose value the reference is, without dashes
	version string  // of the workload, as its labels name it; "" if they do not
}

// PlaceOf returns the place of a field of an object.
func PlaceOf(obj *unstructured.Unstructured, field *object.ImageField) Place {
	w, ok := workloads[obj.GetName()]
	if !ok || obj.GetKind() != "Deployment" && obj.GetKind() != "StatefulSet" {
		return Place{}
	}
	at := Place{tekton: true, flag: strings.TrimLeft(field.Flag, "-"), version: versionOf(obj)}
	p, known := flags[at.flag]
	switch {
	case known && p.component() == w.program.component():
		at.program = p
	case field.Variable != "":
		at.program = variables[field.Variable]
	case mainImage.MatchString(field.Path) || slices.Contains(w.containers, field.Container):
		if field.Flag == "" {
			at.program = w.program
		}
	}
	return at
}

// IsTekton reports whether an object has the kind and name of a workload of Tekton's releases.
func IsTekton(obj *unstructured.Unstructured) bool {
	return PlaceOf(obj, &object.ImageField{}).tekton
}

// versionOf returns the version of the release that a workload belongs to, as its labels or
// those of its Pods say it, or "".
func versionOf(obj *unstructured.Unstructured) string {
	ofPods, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "template", "metadata", "labels")
	for _, labels := range []map[string]string{obj.GetLabels(), ofPods} {
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			said := key == "app.kubernetes.io/version" || key == "version" ||
				strings.HasSuffix(key, ".tekton.dev/release")
			if said && releaseVersion.MatchString(labels[key]) {
				return labels[key]
			}
		}
	}
	return ""
}
