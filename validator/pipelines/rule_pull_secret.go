package pipelines

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var pullSecretRule = &rule.Rule{
	ID:       "pull-secret",
	Severity: rule.Info,
	Others:   true,
	Kinds:    rule.Runs,
	Doc: `Finds images of steps and sidecars for whose registry the run's ServiceAccount lists a Secret
under secrets alone. Tekton gives such a Secret to the programs in the steps. The kubelet, which
pulls the image, and Tekton's controller, which looks its entrypoint up, read imagePullSecrets
(tektoncd/pipeline#6276; docs/auth.md).

A Secret whose registries are known counts for these. One that names none counts for any
registry but the public ones and those that clouds give their nodes access to. A run passes if
its podTemplate, its ServiceAccount or Tekton's default-pod-template has imagePullSecrets
that may be for the registry. A node may have credentials of its own, so this is a hint.

What the Secrets hold is known of those in the files, and of a cluster's which keys they have if
you may read them. The admission server may not, and finds nothing.`,
	Check: checkPullSecret,
}

func checkPullSecret(ctx context.Context, p *rule.Pass) {
	if isAdmission(p) || p.OfPipelineRun() || p.Namespace == "" {
		return
	}
	told := map[string]bool{} // registries, each told of once
	for _, used := range imagesOfRun(ctx, p) {
		used.account = accountName(ctx, p, used.account)
		host := hostOf(used.image)
		if host == "" || told[used.account+" "+host] {
			continue
		}
		if secret := onlyForSteps(ctx, p, used, host); secret != "" {
			told[used.account+" "+host] = true
			p.Report(used.path, "ServiceAccount %q has Secret %q under secrets alone, which is for programs in the steps, "+
				"so the kubelet can't pull %s: add it to imagePullSecrets (tekgate credentials pull)", used.account, secret,
				used.image)
		}
	}
}

// usedImage is an image that a run pulls.
type usedImage struct {
	path, image, account string
	pods                 []map[string]any // podTemplates of the run
}

// imagesOfRun returns the images of the run's own steps, and of the Tasks that it names.
func imagesOfRun(ctx context.Context, p *rule.Pass) []usedImage {
	var found []usedImage
	settings, ok := object.SettingsOf(p.Object)
	if !ok {
		return nil
	}
	var r object.Reader
	own := r.Text(settings.Fields, "serviceAccountName")
	for _, task := range object.Tasks(p.Object) {
		for _, field := range containerImages(task.Spec, task.Path) {
			found = append(found,
				usedImage{field.Path, task.Fill(field.Name), task.Run.ServiceAccount, task.Run.PodTemplates})
		}
	}
	pods := []map[string]any{r.Fields(settings.Fields, "podTemplate")}
	for _, call := range resolvedCalls(ctx, p) {
		switch {
		case call.Kind == "Task" && call.Name != "" && call.Path == "spec":
			for _, field := range containerImages(call.Target, "spec") {
				found = append(found, usedImage{call.Ref, field.Name, own, pods})
			}
		case call.Kind == "Pipeline" && call.Path == "spec":
			for _, spec := range tasksOf(ctx, p, call) {
				for _, field := range containerImages(spec, "spec") {
					found = append(found, usedImage{call.Ref, field.Name, own, pods})
				}
			}
		}
	}
	return found
}

// tasksOf returns the Tasks that a Pipeline names, and those that are written out in one that the
// run names. In a run, object.Tasks finds the latter.
func tasksOf(ctx context.Context, p *rule.Pass, call callSite) []map[string]any {
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	if len(r.FieldsList(spec, "taskRunSpecs"))+len(r.FieldsList(spec, "serviceAccountNames")) > 0 {
		return nil // tasks may have other ServiceAccounts
	}
	var found []map[string]any
	for _, task := range (specification{Kind: "Pipeline", Fields: call.Target}).tasks() {
		p.Step(1)
		if own := r.Fields(task.Fields, "taskSpec"); own != nil && call.Name != "" {
			found = append(found, own)
		}
		name, local := localName(r.Fields(task.Fields, "taskRef"), "Task")
		if !local || task.Custom {
			continue
		}
		there, err := p.Cluster.Get(ctx, schema.GroupKind{Group: rule.TektonGroup, Kind: "Task"}, p.Namespace, name)
		if err == nil {
			found = append(found, r.Fields(there, "spec"))
		}
	}
	return found
}

// containerImages returns the images of steps, sidecars and the stepTemplate.
func containerImages(spec map[string]any, at string) []namedItem {
	var r object.Reader
	var found []namedItem
	add := func(fields map[string]any, path string) {
		if name := r.Text(fields, "image"); name != "" {
			found = append(found, namedItem{Path: path + ".image", Name: name})
		}
	}
	add(r.Fields(spec, "stepTemplate"), at+".stepTemplate")
	for _, key := range []string{"steps", "sidecars"} {
		for i, fields := range r.FieldsList(spec, key) {
			add(fields, fmt.Sprintf("%s.%s[%d]", at, key, i))
		}
	}
	return found
}

// hostOf returns the registry of an image, "" where it is not known.
func hostOf(text string) string {
	ref, err := image.Parse(text)
	if err != nil || strings.Contains(text, "$(") {
		return ""
	}
	return ref.Host
}

// onlyForSteps returns the Secret of a ServiceAccount that is for a registry, and that the kubelet
// does not see, or "".
func onlyForSteps(ctx context.Context, p *rule.Pass, used usedImage, host string) string {
	account := accountOf(ctx, p, used.account)
	if account == nil || defaultPulls(ctx, p) {
		return ""
	}
	pulls := itemsIn(account, "", "imagePullSecrets")
	for _, pod := range used.pods {
		if own := itemsIn(pod, "", "imagePullSecrets"); len(own) > 0 {
			pulls = own
		}
	}
	for _, secret := range pulls {
		if hosts, known := registriesOf(ctx, p, secret.Name); !known || slices.Contains(hosts, host) {
			return ""
		}
	}
	for _, secret := range itemsIn(account, "", "secrets") {
		if !isPullSecret(secretKeys(ctx, p, secret.Name)) {
			continue
		}
		hosts, known := registriesOf(ctx, p, secret.Name)
		if known && slices.Contains(hosts, host) && !isPublic(host) || !known && !isPublic(host) && !isCloud(host) {
			return secret.Name
		}
	}
	return ""
}

// defaultPulls reports whether Tekton's default-pod-template has imagePullSecrets.
func defaultPulls(ctx context.Context, p *rule.Pass) bool {
	var r object.Reader
	return strings.Contains(r.Text(configDefaults(ctx, p), "default-pod-template"), "imagePullSecrets")
}

// publicRegistries are those where most images can be pulled by everybody.
var publicRegistries = []string{"docker.io", "gcr.io", "ghcr.io", "quay.io", "registry.k8s.io", "mcr.microsoft.com",
	"public.ecr.aws", "cgr.dev", "registry.access.redhat.com", "registry.gitlab.com"}

func isPublic(host string) bool { return slices.Contains(publicRegistries, host) }

// cloudRegistries are the ends of those that a cloud's nodes may have access to by themselves.
var cloudRegistries = []string{".amazonaws.com", ".amazonaws.com.cn", ".pkg.dev", ".gcr.io", ".azurecr.io",
	".aliyuncs.com", ".tencentcloudcr.com", ".icr.io"}

func isCloud(host string) bool {
	return slices.ContainsFunc(cloudRegistries, func(end string) bool { return strings.HasSuffix(host, end) })
}
