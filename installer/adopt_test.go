package installer_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/image"
	imagefields "github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// lineObjects returns the embedded release of a line, as it was published.
func lineObjects(t testing.TB, line release.Line) []*unstructured.Unstructured {
	t.Helper()
	var objs []*unstructured.Unstructured
	for _, m := range release.Manifests {
		r, err := manifests.TektonOf(line, m.Name)
		if err != nil {
			t.Fatal(err)
		}
		objs = append(objs, r.Objects...)
	}
	return objs
}

// byHand renames the images of a release as users do: Tekton's to component and binary on
// Docker Hub, with a tag of the mirror's own, and the shell image to another one.
func byHand(t testing.TB, objs []*unstructured.Unstructured) {
	t.Helper()
	for _, obj := range objs {
		for _, field := range imagefields.Images(obj.Object) {
			ref, err := image.Parse(field.Value)
			if err != nil {
				t.Fatal(err)
			}
			component, binary, tekton := ref.Tekton()
			switch {
			case tekton:
				field.Set("tektondev/" + component + "-" + binary + ":" + ref.Tag + "-cn")
			case field.Flag == "-shell-image":
				field.Set("busybox:1.36.1")
			}
		}
	}
}

func named(t testing.TB, objs []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, obj := range objs {
		if obj.GetKind() == kind && obj.GetName() == name {
			return obj
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

func set(t testing.TB, obj *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(obj.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

const theController = "Deployment/tekton-pipelines/tekton-pipelines-controller"

// editFile makes changes that users make in a release file before they apply it.
func editFile(t testing.TB, objs []*unstructured.Unstructured) {
	t.Helper()
	controller := named(t, objs, "Deployment", "tekton-pipelines-controller")
	set(t, controller, int64(3), "spec", "replicas")
	set(t, controller, "ssd", "spec", "template", "spec", "nodeSelector", "disktype")
	set(t, controller, []any{map[string]any{"name": "harbor"}}, "spec", "template", "spec", "imagePullSecrets")
	account := named(t, objs, "ServiceAccount", "tekton-pipelines-controller")
	set(t, account, []any{map[string]any{"name": "harbor"}}, "imagePullSecrets")
	set(t, named(t, objs, "ConfigMap", "config-defaults"), "15", "data", "default-timeout-minutes")
}

// editCluster makes changes that users make with kubectl edit.
func (c *target) editCluster() {
	c.t.Helper()
	const kind, namespace, name = "Deployment", "tekton-pipelines", "tekton-pipelines-controller"
	args, _ := c.field("apps/v1", kind, namespace, name, "spec/template/spec/containers").([]any)
	container, _ := args[0].(map[string]any)
	container["args"] = append(container["args"].([]any), "-kube-api-qps", "50")
	container["env"] = append(container["env"].([]any), map[string]any{"name": "HTTPS_PROXY", "value": "http://u:pw@proxy:3128"})
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers":  args,
		"tolerations": []any{map[string]any{"key": "ci", "operator": "Exists"}}}}}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.merge("kubectl-edit", "apps/v1", kind, namespace, name, string(patch))
	c.edit("feature-flags", `{"enable-api-fields":"alpha"}`)
}

// released is installer.Options.Released for the embedded lines.
func releasedLine(t testing.TB) func(installer.Versions) ([]*unstructured.Unstructured, error) {
	return func(v installer.Versions) ([]*unstructured.Unstructured, error) {
		for _, line := range release.Lines {
			if line.Pipeline == v.Pipeline && line.Triggers == v.Triggers {
				return lineObjects(t, line), nil
			}
		}
		t.Errorf("asked for %v", v)
		return nil, nil
	}
}

func TestAdoptsWhatUsersAppliedByHand(t *testing.T) {
	t.Parallel()
	c := start(t)
	line := release.Lines[1]
	before := lineObjects(t, line)
	byHand(t, before)
	editFile(t, before)
	for _, obj := range before {
		applyLikeKubectl(c, obj)
	}
	c.editCluster()

	options := atOnce
	options.Released = releasedLine(t)
	untouched := c.everything(true)
	plan, err := c.plan(embedded(t), options)
	if err != nil {
		t.Fatal(err)
	}
	if changed := unlike(untouched, c.everything(true)); len(changed) > 0 {
		t.Errorf("the plan wrote %v", changed)
	}
	if plan.Installed.Pipeline != line.Pipeline || plan.Installed.Triggers != line.Triggers {
		t.Errorf("it found %v", plan.Installed)
	}
	for _, f := range plan.Findings {
		if f.Category != "nodes" {
			t.Errorf("finding %v", f)
		}
	}
	checkAdoptionNotes(t, plan)
	checkAdoptionDiff(t, plan)

	if _, err := c.Apply(t.Context(), plan, options, silent{}); err != nil {
		t.Fatal(err)
	}
	checkAdopted(t, c, plan)
	again, err := c.plan(embedded(t), options)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(again.Changes()) - again.Count(ssa.UnchangedAction); n > 0 || len(again.Losses) > 0 {
		t.Errorf("a second run changes %d objects, and loses %v", n, again.Losses)
	}
}

// checkAdoptionNotes checks what the plan says before the first write.
func checkAdoptionNotes(t *testing.T, plan *installer.Plan) {
	t.Helper()
	notes := strings.Join(plan.Notes, "\n")
	for _, want := range []string{
		"Tekton Pipelines v1.12.2, Tekton Triggers v0.36.0 is here, and Tekgate did not install it: it is taken over, " +
			"and compared with the releases of these versions",
		theController + ": your spec.replicas (3) is replaced with 1",
		theController + ": your spec.template.spec.nodeSelector[disktype] (ssd) is removed",
		theController + ": your spec.template.spec.imagePullSecrets is removed",
		theController + ": your spec.template.spec.containers[tekton-pipelines-controller].args[-kube-api-qps] is removed",
		theController + ": your spec.template.spec.containers[tekton-pipelines-controller].args[-shell-image] is replaced",
		"ServiceAccount/tekton-pipelines/tekton-pipelines-controller: your imagePullSecrets[harbor] is removed",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q", want)
		}
	}
	if len(plan.Losses) != 6 {
		t.Errorf("%d losses:\n%s", len(plan.Losses), notes)
	}
	if strings.Contains(notes, "pw@") {
		t.Error("the notes show a password")
	}
	kept := map[string]string{}
	for _, m := range plan.Merges {
		kept[m.ConfigMap+" "+m.Key] = m.Outcome
	}
	for _, key := range []string{"feature-flags enable-api-fields", "config-defaults default-timeout-minutes"} {
		if kept["tekton-pipelines/"+key] != installer.KeyKept {
			t.Errorf("%s is %q", key, kept["tekton-pipelines/"+key])
		}
	}
}

func checkAdoptionDiff(t *testing.T, plan *installer.Plan) {
	t.Helper()
	differences, err := plan.Differences()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, d := range differences {
		for _, change := range d.Images {
			kinds[change.Kind]++
			if change.Kind == installer.ImageUpgraded && !regexp.MustCompile(
				`^docker\.io/tektondev/|^tektondev/`).MatchString(change.From) {
				t.Errorf("%s: %s", d.Subject, change)
			}
		}
		if d.Subject == theController {
			for _, want := range []string{"-        disktype: ssd", "-  replicas: 3", "-      - name: harbor"} {
				if !strings.Contains(d.Text, want) {
					t.Errorf("the diff lacks %q:\n%s", want, d.Text)
				}
			}
			if strings.Contains(d.Text, "-        - name: HTTPS_PROXY") {
				t.Errorf("the diff takes the proxy away:\n%s", d.Text)
			}
		}
	}
	if kinds[installer.ImageUpgraded] != 12 || kinds[installer.ImageReplaced] != 1 {
		t.Errorf("image changes are %v", kinds)
	}
}

// checkAdopted checks that the cluster is what the plan said it would be.
func checkAdopted(t *testing.T, c *target, plan *installer.Plan) {
	t.Helper()
	for _, change := range plan.Changes() {
		if change.After == nil || change.Desired.GetKind() != "Deployment" || change.Live == nil {
			continue
		}
		current := c.get("apps/v1", "Deployment", change.Desired.GetNamespace(), change.Desired.GetName())
		is, _ := json.Marshal(current.Object["spec"])
		said, _ := json.Marshal(change.After.Object["spec"])
		if string(is) != string(said) {
			t.Errorf("%s is not what the plan said:\n%s", change.Desired.GetName(), difference(said, is))
		}
	}
	spec, _ := c.field("apps/v1", "Deployment", "tekton-pipelines", "tekton-pipelines-controller",
		"spec/template/spec").(map[string]any)
	if _, has := spec["tolerations"]; !has {
		t.Error("the toleration is gone")
	}
	if text, _ := json.Marshal(spec["containers"]); !strings.Contains(string(text), "HTTPS_PROXY") {
		t.Error("the proxy is gone")
	}
	if got := c.data("tekton-pipelines", "config-defaults")["default-timeout-minutes"]; got != "15" {
		t.Errorf("default-timeout-minutes is %q", got)
	}
	if got := c.data("tekton-pipelines", "feature-flags")["enable-api-fields"]; got != "alpha" {
		t.Errorf("enable-api-fields is %q", got)
	}
}

func TestAdoptionOfTheSameReleaseMovesItsImages(t *testing.T) {
	t.Parallel()
	c := start(t)
	before := lineObjects(t, release.Newest())
	byHand(t, before)
	for _, obj := range before {
		applyLikeKubectl(c, obj)
	}
	options := atOnce
	options.Previous = before // the manifest that the user made
	plan, err := c.plan(embedded(t), options)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	differences, err := plan.Differences()
	for _, d := range differences {
		for _, change := range d.Images {
			kinds[change.Kind]++
		}
	}
	if err != nil || kinds[installer.ImageMoved] != 13 || kinds[installer.ImageReplaced] != 1 {
		t.Errorf("image changes are %v: %v", kinds, err)
	}
	// The user's shell image gives way to the release's.
	if len(plan.Losses) != 1 || !strings.HasSuffix(plan.Losses[0].Field, "args[-shell-image]") ||
		len(plan.Merges) != 0 {
		t.Errorf("it loses %v, and merges %v", plan.Losses, plan.Merges)
	}
}

// An installation of an unknown release is compared with what kubectl noted.
func TestAdoptionOfAnUnknownRelease(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, obj := range mini("v0.26.0", "")(t).Objects {
		if obj.GetKind() == "Deployment" && obj.GetName() == "tekton-pipelines-controller" {
			set(t, obj, "ssd", "spec", "template", "spec", "nodeSelector", "disktype")
		}
		applyLikeKubectl(c, obj)
	}
	c.merge("kubectl-edit", "apps/v1", "Deployment", "tekton-pipelines", "tekton-pipelines-controller",
		`{"spec":{"template":{"spec":{"containers":[{"name":"controller","image":"quay.io/mini/controller:v0.26.0","args":["-v","2"]}]}}}}`)
	plan, err := c.plan(mini("v0.38.4", "")(t), installer.Options{Timeout: atOnce.Timeout, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, loss := range plan.Losses {
		said = append(said, loss.String())
	}
	for _, want := range []string{
		theController + ": spec.template.spec.nodeSelector[disktype] (ssd), which kubectl applied, is removed",
		theController + ": your spec.template.spec.containers[controller].args[-v] is removed",
	} {
		if !slices.Contains(said, want) {
			t.Errorf("the losses lack %q: %q", want, said)
		}
	}
	file := mini("v0.26.0", "", "quay.io/mini/controller:", "tektondev/pipeline-controller:",
		"metadata: {labels: {app: controller}}\n    spec: {containers",
		"metadata: {labels: {app: controller}}\n    spec: {nodeSelector: {disktype: ssd}, containers")(t).Objects
	named := installer.Options{Timeout: atOnce.Timeout, Force: true, Previous: file}
	if plan, err = c.plan(mini("v0.38.4", "")(t), named); err != nil || len(plan.Losses) < 2 {
		t.Errorf("with the file that the user changed it loses %v: %v", plan.Losses, err)
	}
	if plan.Installed.Pipeline != "v0.26.0" {
		t.Errorf("it found %v", plan.Installed)
	}
	_, err = c.plan(mini("v0.19.0", "")(t), atOnce)
	if err == nil || !strings.Contains(err.Error(), "v0.19.0 is older") {
		t.Errorf("a step back: %v", err)
	}
}

// difference returns what follows the common beginning of two texts.
func difference(a, b []byte) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return fmt.Sprintf("%.200s\n%.200s", a[max(0, n-60):], b[max(0, n-60):])
}
