package hook

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	pipeline "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/manifests"
)

// statusRun returns the PipelineRun of a scaffold.
func statusRun(t *testing.T, named map[string]map[string]any) *pipeline.PipelineRun {
	t.Helper()
	list, _, _ := unstructured.NestedSlice(named["TriggerTemplate/ci/app"], "spec", "resourcetemplates")
	if len(list) != 1 {
		t.Fatalf("the template makes %d objects", len(list))
	}
	text, err := json.Marshal(list[0])
	if err != nil {
		t.Fatal(err)
	}
	var run pipeline.PipelineRun
	if err := json.Unmarshal(text, &run); err != nil || run.Kind != "PipelineRun" {
		t.Fatalf("the template makes a %s: %v", run.Kind, err)
	}
	return &run
}

// TestScaffoldStatus holds that a run reports when it starts and what became of it, and that the
// token is in no Task that runs code of the repository.
func TestScaffoldStatus(t *testing.T) {
	for _, args := range [][]string{{"--status"}, {"--status", "--deploy=deploy.yaml"},
		{"--status", "--status-url=https://d.example.com/{run}"}} {
		objects, named, said := scaffolded(t, args...)
		judgeScaffold(t, objects)
		deploys := slices.Contains(args, "--deploy=deploy.yaml")
		links := len(args) > 1 && !deploys
		run := statusRun(t, named)
		tasks := map[string]pipeline.PipelineTask{}
		for _, task := range slices.Concat(run.Spec.PipelineSpec.Tasks, run.Spec.PipelineSpec.Finally) {
			tasks[task.Name] = task
		}
		if len(run.Spec.PipelineSpec.Finally) != 1 || len(tasks["status-pending"].RunAfter) != 0 ||
			len(tasks["build"].RunAfter) != 0 || (len(tasks["deploy"].Params) > 0) != deploys {
			t.Errorf("the tasks are %+v", tasks)
		}
		for name, state := range map[string]string{"status-pending": "pending", "status-result": "$(tasks.status)"} {
			got := map[string]string{}
			for _, p := range tasks[name].Params {
				got[p.Name] = p.Value.StringVal
			}
			if (got["run"] == "$(context.pipelineRun.name)") != links || got["state"] != state || got["revision"] != "$(params.revision)" || tasks[name].TaskRef.Name != "app-status" {
				t.Errorf("%s reports %v", name, got)
			}
		}
		accounts := map[string]string{"build": run.Spec.TaskRunTemplate.ServiceAccountName}
		for _, spec := range run.Spec.TaskRunSpecs {
			accounts[spec.PipelineTaskName] = spec.ServiceAccountName
		}
		if accounts["build"] != "app-build" || accounts["status-pending"] != "app-status" ||
			accounts["status-result"] != "app-status" {
			t.Errorf("the accounts are %v", accounts)
		}
		for key, fields := range named {
			text, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			if key != "Task/ci/app-status" && (strings.Contains(string(text), `"secretName":"app-status"`) ||
				strings.Contains(string(text), "/etc/tekgate-status")) {
				t.Errorf("%s has the token: %s", key, text)
			}
		}
		if !strings.Contains(said, "create secret generic app-status --from-file=token=FILE") ||
			!strings.Contains(said, "repo:status") ||
			strings.Contains(said, "--deploy-namespace if") != deploys {
			t.Errorf("what remains to be done is not said:\n%s", said)
		}
	}
	if _, named, said := scaffolded(t); named["Task/ci/app-status"] != nil || strings.Contains(said, "app-status") {
		t.Errorf("without --status:\n%s", said)
	}
}

// TestScaffoldStatusReports runs the step of the scaffold's Task with odd values of an event.
func TestScaffoldStatusReports(t *testing.T) {
	for provider, repository := range map[string]string{"gitee": "https://gitee.example.com/team/app.git",
		"gitcode": "https://gitcode.com/team/app", "github": "git@github.example.com:team/app.git",
		"gitlab": "ssh://git@gitlab.example.com:2222/team/app.git", "gitea": "https://gitea.example.com:3000/team/app.git"} {
		s := forgetest.New(t, forge.Forge(provider))
		_, named, _ := scaffolded(t, "--status", "--provider="+provider, "--repo="+repository,
			"--status-api-url="+s.API(), "--status-context=ci/app image", "--status-url=https://d.example.com/#/namespaces/{namespace}/pipelineruns/{run}?a=1&b=2")
		steps, _, _ := unstructured.NestedSlice(named["Task/ci/app-status"], "spec", "steps")
		step, _ := steps[0].(map[string]any)
		if step["script"] != nil || step["onError"] != "continue" || len(steps) != 1 {
			t.Errorf("%s: the step is %v", provider, step)
		}
		report := func(revision string) error {
			values := strings.NewReplacer("$(params.revision)", revision, "$(params.state)", "Succeeded",
				"$(params.run)", "app-x7", "/etc/tekgate-status", mounted(t, s))
			var args []string
			for _, arg := range step["args"].([]any)[1:] {
				args = append(args, values.Replace(arg.(string)))
			}
			_, _, err := hookTool(t, args...)
			return err
		}
		for _, odd := range []string{"", "--api-url=https://thief.example", "$(rm)", "`id`", "a\nb", "null",
			strings.Repeat("0", 40)} {
			if err := report(odd); err == nil || len(s.Requests()) != 0 {
				t.Errorf("%s: commit %q: error %v; sent %v", provider, odd, err, s.Requests())
			}
		}
		if err := report(forgetest.SHA); err != nil {
			t.Errorf("%s: %v", provider, err)
		}
		const link = "https://d.example.com/#/namespaces/ci/pipelineruns/app-x7?a=1&b=2"
		if all := s.Statuses(); len(all) != 1 || !strings.Contains(all[0].Context+all[0].Comment, "ci/app image") ||
			!strings.Contains(all[0].URL+all[0].Comment, link) {
			t.Errorf("%s has %+v", provider, all)
		}
	}
}

func TestScaffoldStatusRefused(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--status-url=https://a.example"}, "does nothing without --status"},
		{[]string{"--status-image=a"}, "does nothing without --status"},
		{[]string{"--status-secret=a"}, "does nothing without --status"},
		{[]string{"--status", "--provider=bitbucket"}, "cannot report commit statuses to Bitbucket Cloud"},
		{[]string{"--status", "--status-image=a b"}, "parsing image"},
		{[]string{"--status", "--status-secret=a: b"}, "no object's name"},
		{[]string{"--status", "--status-context=a\nb"}, "--status-context"},
		{[]string{"--status", "--status-context=$(params.x)"}, "--status-context"},
		{[]string{"--status", "--status-api-url=http://git.example.com"}, "has to be https"},
		{[]string{"--status", "--status-api-url=https://me:hunter2@git.example.com"}, "has to be https"},
		{[]string{"--status", "--status-url=ftp://a.example"}, "--status-url"},
		{[]string{"--status", "--status-url=https://a.example/$(params.x)"}, "--status-url"},
		{[]string{"--status", "--status-url=https://a.example/{name}"}, "placeholders"},
		{[]string{"--status", "--status-url=https://me:hunter2@a.example/{run}"}, "without a user"},
	} {
		base := []string{"scaffold", "--repo=https://gitee.com/team/app", "--image=app"}
		_, _, err := hookTool(t, append(base, tt.args...)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v lacks %q", tt.args, err, tt.want)
		}
	}
}

// TestScaffoldStatusImage takes Tekgate's image from the cluster, where there is one and no flag
// names another.
func TestScaffoldStatusImage(t *testing.T) {
	c := cluster.StartEmpty(t)
	k, err := client.New(c.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	image := func(args ...string) (string, string) {
		t.Helper()
		_, named, said := scaffolded(t, append(args, "--status", "--kaniko-image=kaniko")...)
		steps, _, _ := unstructured.NestedSlice(named["Task/ci/app-status"], "spec", "steps")
		text, _ := steps[0].(map[string]any)["image"].(string)
		return text, said
	}
	published := "ghcr.io/tekgate/tekgate:" + manifests.Version
	there := "--kubeconfig=" + c.Kubeconfig
	if got, _ := image(there); got != published {
		t.Errorf("without Tekgate: %s", got)
	}
	labels := map[string]string{"a": "b"}
	server := corev1.Container{Name: "webhook", Image: "mirror.example.com/tekgate:v9"}
	at := metav1.ObjectMeta{Namespace: wellknown.TekgateNamespace, Name: wellknown.Webhook}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: wellknown.TekgateNamespace}},
		&appsv1.Deployment{ObjectMeta: at,
			Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec: corev1.PodSpec{Containers: []corev1.Container{server}}}}},
	} {
		if err := k.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	if got, said := image(there); got != server.Image || !strings.Contains(said, "the cluster's installation") {
		t.Errorf("with Tekgate: %s\n%s", got, said)
	}
	if got, _ := image(there, "--status-image=mine.example.com/tekgate:v1"); got != "mine.example.com/tekgate:v1" {
		t.Errorf("with a flag: %s", got)
	}
	if got, said := image("--kubeconfig=" + c.Kubeconfig + ".gone"); got != published ||
		!strings.Contains(said, "could not be read") {
		t.Errorf("with a kubeconfig that is not there: %s\n%s", got, said)
	}
}
