package install

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/rollback"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/versions"
	"github.com/tekgate/tekgate/e2e/cluster"
	lines "github.com/tekgate/tekgate/internal/release"
)

const configuration = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: registry.example.com/tekton}\n"

// TestVersion chooses a line by flag and by configuration, and refuses what contradicts it.
func TestVersion(t *testing.T) {
	t.Parallel()
	older := lines.Lines[1]
	plain := clitest.File(t, "tekgate.yaml", configuration)
	pinned := clitest.File(t, "tekgate.yaml", configuration+"install: {version: "+older.Name+"}\n")
	wrong := clitest.File(t, "tekgate.yaml", configuration+"install: {version: v1.13}\n")
	interceptor := clitest.File(t, "triggers.yaml",
		"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")
	tests := []struct {
		name string
		args []string
		want string // a part of the images, or of the error
		fail bool
	}{
		{"nothing", []string{"--config", plain}, "pipeline-nop:" + lines.Newest().Pipeline, false},
		{"the flag", []string{"--config", plain, "--version", older.Name}, "pipeline-nop:" + older.Pipeline, false},
		{"its Triggers", []string{"--config", plain, "--version", older.Pipeline},
			"triggers-webhook:" + older.Triggers, false},
		{"the configuration", []string{"--config", pinned}, "pipeline-nop:" + older.Pipeline, false},
		{"both, alike", []string{"--config", pinned, "--version", older.Pipeline},
			"pipeline-nop:" + older.Pipeline, false},
		{"Triggers from elsewhere",
			[]string{"--config", plain, "--version", older.Name, "--triggers-manifest", interceptor},
			"pipeline-nop:" + older.Pipeline, false},
		{"both", []string{"--config", pinned, "--version", "newest"}, "install.version " + older.Name, true},
		{"Pipelines from elsewhere",
			[]string{"--config", plain, "--version", older.Name, "--pipeline-manifest", interceptor},
			"--version v1.12 and --pipeline-manifest contradict each other", true},
		{"Pipelines from elsewhere, configured", []string{"--config", pinned, "--pipeline-manifest", interceptor},
			"install.version of ", true},
		{"a line that is not there", []string{"--config", wrong},
			"install.version of " + wrong + ": Tekton Pipelines v1.13.0", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, _, err := program.Run(t, "", append([]string{"render"}, tt.args...)...)
			switch {
			case tt.fail && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v lacks %q", err, tt.want)
			case !tt.fail && (err != nil || !strings.Contains(out, tt.want)):
				t.Errorf("error %v, or the output lacks %q", err, tt.want)
			}
		})
	}
	out, _ := program.Must(t, "images", "list", "--config", pinned, "-o", "json")
	if !strings.Contains(out, older.Pipeline) || strings.Contains(out, lines.Newest().Pipeline) {
		t.Errorf("images list ignores install.version:\n%s", out)
	}
}

// lineSite is a cluster in which lines are installed without their images.
type lineSite struct {
	*clitest.Site
	flags []string
}

func newLineSite(t *testing.T) *lineSite {
	t.Helper()
	c := cluster.StartEmpty(t)
	p := append(slices.Clone(program), rollback.Command, func() *cobra.Command {
		return versions.Command(func() time.Time { return time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC) })
	})
	return &lineSite{clitest.NewSite(t, p, c.Config, c.Kubeconfig), []string{
		"--kubeconfig", c.Kubeconfig, "--mirror", "registry.example.com/tekton", "--skip-probe", "--wait=false"}}
}

// do runs an install or an upgrade, and returns its messages.
func (s *lineSite) do(args ...string) string {
	s.T.Helper()
	_, errOut := s.Program.Must(s.T, append(args, s.flags...)...)
	return errOut
}

// fails runs an install or an upgrade that must fail with an error that has a part.
func (s *lineSite) fails(part string, args ...string) {
	s.T.Helper()
	_, _, err := s.Program.Run(s.T, "", append(args, s.flags...)...)
	if err == nil || !strings.Contains(err.Error(), part) {
		s.T.Errorf("%v: error %v lacks %q", args, err, part)
	}
}

func (s *lineSite) object(named string) *unstructured.Unstructured {
	s.T.Helper()
	obj := clitest.ObjectOf(named)
	if err := s.Client.Get(s.T.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		s.T.Fatal(err)
	}
	return obj
}

// runs checks which versions are installed, and which the images are.
func (s *lineSite) runs(l lines.Line) {
	s.T.Helper()
	out, _ := s.Program.Must(s.T, append([]string{"versions", "-o", "json"}, s.Kubeconfig...)...)
	var got struct {
		Cluster struct {
			Running  struct{ Pipeline, Triggers string }
			Line, By string
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		s.T.Fatal(err)
	}
	if c := got.Cluster; c.Running.Pipeline != l.Pipeline || c.Running.Triggers != l.Triggers || c.Line != l.Name ||
		c.By != "Tekgate" {
		s.T.Errorf("%s: versions says %+v", l.Name, c)
	}
	controller := clitest.JSON(s.T, s.object("apps/v1 Deployment tekton-pipelines/tekton-pipelines-controller").Object)
	if !strings.Contains(controller, "pipeline-nop:"+l.Pipeline) {
		s.T.Errorf("%s: the controller has other images", l.Name)
	}
	flags, _, _ := unstructured.NestedStringMap(s.object("v1 ConfigMap tekton-pipelines/feature-flags").Object, "data")
	if flags["enable-api-fields"] != "alpha" || flags["my-own"] != "x" {
		s.T.Errorf("%s: an edit is lost: %v", l.Name, flags)
	}
	for _, plural := range []string{"tasks", "pipelineruns"} {
		crd := s.object("apiextensions.k8s.io/v1 CustomResourceDefinition " + plural + ".tekton.dev")
		if stored, _, _ := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions"); len(stored) != 1 ||
			stored[0] != "v1" {
			s.T.Errorf("%s: %s are stored as %v", l.Name, plural, stored)
		}
	}
}

func (s *lineSite) edit() {
	s.T.Helper()
	s.Patch("v1 ConfigMap tekton-pipelines/feature-flags", `{"data":{"enable-api-fields":"alpha","my-own":"x"}}`)
}

// TestLines goes through all lines with a user's edits: install, the same again, upgrade,
// rollback, the whole way in one command, and a purge.
func TestLines(t *testing.T) {
	t.Parallel()
	s := newLineSite(t)
	up := slices.Clone(lines.Lines)
	slices.Reverse(up)
	s.fails("nothing to upgrade", "upgrade", "--to", "newest")
	for i, l := range up {
		said := s.do("install", "--version", l.Name)
		if i == 0 {
			s.edit()
		} else {
			clitest.InOrder(t, said, "upgrades Tekton Pipelines from "+up[i-1].Pipeline+" to "+l.Pipeline)
		}
		s.runs(l)
		if again := actions(s.do("install", "--version", l.Name)); again["unchanged"] < 140 || len(again) != 1 {
			t.Errorf("%s: the second install did %v", l.Name, again)
		}
	}
	s.fails(
		"is older: `tekgate rollback` returns to the release before, "+up[len(up)-2].Pipeline,
		"upgrade", "--to", up[0].Name)
	s.fails("is installed, and "+up[0].Pipeline+" is older", "install", "--version", up[0].Name)
	s.Program.Must(t, append([]string{"rollback", "--wait=false"}, s.Kubeconfig...)...)
	s.runs(up[len(up)-2])
	if _, err := s.Uninstall("--purge", "--yes"); err != nil {
		t.Fatal(err)
	}
	s.left()
}

// left checks that a purge has left nothing of the embedded releases.
func (s *lineSite) left() {
	s.T.Helper()
	all, err := release.AllEmbedded()
	if err != nil {
		s.T.Fatal(err)
	}
	for _, obj := range all {
		name := strings.TrimPrefix(obj.GetNamespace()+"/"+obj.GetName(), "/")
		s.Expect(false, obj.GetAPIVersion()+" "+obj.GetKind()+" "+name)
	}
}

// TestUpgradeTo goes from a line to the newest, with stops and without, and from what another
// tool applied.
func TestUpgradeTo(t *testing.T) {
	t.Parallel()
	s := newLineSite(t)
	oldest, newest := lines.Lines[len(lines.Lines)-1], lines.Newest()
	s.do("install", "--version", oldest.Name)
	s.edit()
	said := s.do("upgrade", "--to", newest.Name, "--dry-run")
	clitest.InOrder(t, said, "from Tekton Pipelines "+oldest.Pipeline+", in 1 hop",
		"1. Tekton Pipelines "+newest.Pipeline,
		"has every version in which the cluster stores objects (15 definitions compared)", "runs in flight go on",
		"--via v1.9,v1.12", "the manifests of "+newest.Pipeline+" have no feature flag my-own",
		"dry run, nothing was changed")
	s.runs(oldest)
	s.fails("name that line with --to", "upgrade", "--via", "v1.9")
	s.fails("both name a line", "upgrade", "--to", "v1.12", "--version", "v1.12")
	out, said := s.Program.Must(t, append([]string{"upgrade", "--to", "latest", "--via", "v1.9,1.12", "-o", "json"}, s.flags...)...)
	threeHops(t, out)
	clitest.InOrder(t, said, "in 3 hops", "hop 1 of 3: Tekton Pipelines "+lines.Lines[2].Pipeline,
		"hop 2 of 3: Tekton Pipelines "+lines.Lines[1].Pipeline, "hop 3 of 3: Tekton Pipelines "+newest.Pipeline)
	s.runs(newest)
	s.Program.Must(t, append([]string{"rollback", "--wait=false"}, s.Kubeconfig...)...)
	s.runs(lines.Lines[1])
	s.do("upgrade", "--to", newest.Name)
	s.runs(newest)
}

// threeHops checks that what is printed is one document with the reports of three hops.
func threeHops(t *testing.T, out string) {
	t.Helper()
	var printed struct {
		Planned []string
		Hops    []struct{ To struct{ Pipeline string } }
		Error   string
	}
	if err := json.Unmarshal([]byte(out), &printed); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if printed.Error != "" || len(printed.Hops) != 3 || len(printed.Planned) != 3 {
		t.Fatalf("it printed\n%s", out)
	}
	for i, hop := range printed.Hops {
		if want := lines.Lines[2-i].Pipeline; hop.To.Pipeline != want || printed.Planned[i] != want {
			t.Errorf("hop %d goes to %s, planned %s, want %s", i+1, hop.To.Pipeline, printed.Planned[i], want)
		}
	}
}

// TestUpgradeOfAnotherTools upgrades a line that another tool created, without a record. What a
// user changed before is kept, since the release that it came from is compiled in.
func TestUpgradeOfAnotherTools(t *testing.T) {
	t.Parallel()
	s := newLineSite(t)
	from := lines.Lines[2]
	objects, err := release.EmbeddedLine(from)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	for _, obj := range objects {
		if obj.GetKind() == "ClusterInterceptor" {
			continue
		}
		if obj.GetKind() == "ConfigMap" && obj.GetName() == "feature-flags" {
			// A user's tool, which is not among those that edit single fields, has set them.
			_ = unstructured.SetNestedField(obj.Object, "alpha", "data", "enable-api-fields")
			_ = unstructured.SetNestedField(obj.Object, "x", "data", "my-own")
		}
		if err := s.Client.Create(t.Context(), obj, client.FieldOwner("terraform")); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := s.Program.Must(t, append([]string{"versions"}, s.Kubeconfig...)...)
	clitest.InOrder(t, out, "installed", "Tekton Pipelines "+from.Pipeline, "of the line "+from.Name,
		"installed by terraform")
	s.fails("is older", "install", "--version", "v1.6")
	said := s.do("upgrade", "--to", "newest")
	clitest.InOrder(t, said, "from Tekton Pipelines "+from.Pipeline, "kept your enable-api-fields")
	s.runs(lines.Newest())
}

func rank(obj *unstructured.Unstructured) int {
	switch obj.GetKind() {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	}
	return 2
}
