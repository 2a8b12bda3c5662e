package hook

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/release"
)

// scaffolded returns the objects of a scaffold by kind and name.
func scaffolded(t *testing.T, args ...string) (
	objects []*unstructured.Unstructured, named map[string]map[string]any, said string,
) {
	t.Helper()
	out, errOut, err := hookTool(t, append([]string{"scaffold", "--provider=github",
		"--repo=https://github.com/team/app", "--image=registry.example.com/app", "-n=ci"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	if objects, err = release.Read(strings.NewReader(out)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	named = map[string]map[string]any{}
	for _, u := range objects {
		named[u.GetKind()+"/"+u.GetNamespace()+"/"+u.GetName()] = u.Object
	}
	return objects, named, errOut
}

// What is exposed is one path, over TLS, and the NetworkPolicy admits one namespace.
func TestScaffoldExposed(t *testing.T) {
	for name, tt := range map[string]struct {
		args     []string
		kind     string
		from     string
		contains []string
	}{
		"ingress with an issuer": {
			[]string{"--expose=ingress", "--host=hooks.example.com", "--ingress-class=nginx", "--tls-issuer=letsencrypt"},
			"Ingress", "ingress-nginx",
			[]string{`"cert-manager.io/cluster-issuer":"letsencrypt"`, `"secretName":"app-hook-tls"`,
				`"path":"/app","pathType":"Exact"`, `"ingressClassName":"nginx"`, `"name":"el-app"`},
		},
		"ingress with an issuer of the namespace": {
			[]string{"--expose=ingress", "--host=hooks.example.com", "--ingress-class=traefik", "--tls-issuer=issuer/ours"},
			"Ingress", "traefik", []string{`"cert-manager.io/issuer":"ours"`},
		},
		"ingress with a Secret": {
			[]string{"--expose=ingress", "--host=hooks.example.com", "--tls-secret=wildcard", "--controller-namespace=gate"},
			"Ingress", "gate", []string{`"secretName":"wildcard"`, `"hosts":["hooks.example.com"]`},
		},
		"gateway": {
			[]string{"--expose=gateway", "--host=hooks.example.com", "--gateway=gates/outer"},
			"HTTPRoute", "gates",
			[]string{`"name":"outer","namespace":"gates"`, `"type":"Exact","value":"/app"`, `"hostnames":["hooks.example.com"]`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			objects, named, said := scaffolded(t, tt.args...)
			judgeScaffold(t, objects)
			text, err := (&unstructured.Unstructured{Object: named[tt.kind+"/ci/app-hook"]}).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.contains {
				if !strings.Contains(string(text), want) {
					t.Errorf("%s lacks %s", text, want)
				}
			}
			rules, _, _ := unstructured.NestedSlice(named["NetworkPolicy/ci/app-hook"], "spec", "ingress")
			if len(rules) != 1 {
				t.Fatalf("the NetworkPolicy has the rules %v", rules)
			}
			from, _, _ := unstructured.NestedSlice(rules[0].(map[string]any), "from")
			namespace, _, _ := unstructured.NestedString(from[0].(map[string]any), "namespaceSelector", "matchLabels",
				"kubernetes.io/metadata.name")
			if len(from) != 1 || namespace != tt.from {
				t.Errorf("the NetworkPolicy admits %v, want namespace %s alone", from, tt.from)
			}
			if !strings.Contains(said, "https://hooks.example.com/app") {
				t.Errorf("the hook's address is not said:\n%s", said)
			}
			assumed := !strings.Contains(strings.Join(tt.args, " "), "--controller")
			if strings.Contains(said, "from Pods in namespace "+tt.from+" (") != assumed ||
				strings.Contains(said, "pass --controller-namespace") != assumed {
				t.Errorf("the namespace that the NetworkPolicy admits is assumed: %v:\n%s", assumed, said)
			}
		})
	}
}

// Who deploys is another account than who builds, with rights in one namespace alone, to no Secret.
func TestScaffoldDeploys(t *testing.T) {
	for deploy, want := range map[string][]any{
		"deploy.yaml":            {"apply", "--namespace=shop", "--filename", "deploy.yaml"},
		"kustomize":              {"apply", "--namespace=shop", "--kustomize", "."},
		"kustomize:overlay/prod": {"apply", "--namespace=shop", "--kustomize", "overlay/prod"},
	} {
		t.Run(deploy, func(t *testing.T) {
			objects, named, said := scaffolded(t, "--deploy="+deploy, "--deploy-namespace=shop")
			seen := judgeScaffold(t, objects)
			if seen["Task"] != 2 || seen["ClusterRole"] != 1 || seen["ServiceAccount"] != 3 {
				t.Errorf("the kinds are %v", seen)
			}
			steps, _, _ := unstructured.NestedSlice(named["Task/ci/app-deploy"], "spec", "steps")
			if args := steps[1].(map[string]any)["args"]; !slices.Equal(args.([]any), want) {
				t.Errorf("it runs %v, want %v", args, want)
			}
			rules, _, _ := unstructured.NestedSlice(named["Role/shop/app-deploy"], "rules")
			if len(rules) == 0 {
				t.Fatal("the account may do nothing")
			}
			for _, rule := range rules {
				resources, _, _ := unstructured.NestedStringSlice(rule.(map[string]any), "resources")
				verbs, _, _ := unstructured.NestedStringSlice(rule.(map[string]any), "verbs")
				if slices.Contains(resources, "secrets") || slices.Contains(resources, "*") ||
					!slices.Equal(verbs, []string{"get", "create", "patch"}) {
					t.Errorf("the account may %v %v", verbs, resources)
				}
			}
			if named["RoleBinding/shop/app-deploy"] == nil || !strings.Contains(said, "app-deploy") {
				t.Errorf("it has no rights, or what remains to be done is not said:\n%s", said)
			}
		})
	}
}

func TestScaffoldExposureRefused(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--expose=door"}, "ingress, gateway or none"},
		{[]string{"--expose=ingress"}, "needs --host"},
		{[]string{"--expose=ingress", "--host=a b"}, "no host's name"},
		{[]string{"--expose=ingress", "--host=hooks"}, "no host's name"},
		{[]string{"--expose=ingress", "--host=10.0.0.1"}, "is an address"},
		{[]string{"--expose=ingress", "--host=1.5"}, "is an address"},
		{[]string{"--expose=gateway", "--host=10.0.0.0x1"}, "is an address"},
		{[]string{"--expose=ingress", "--host=h.example.com", "--ingress-class=nginx"}, "--tls-secret or --tls-issuer"},
		{[]string{"--expose=ingress", "--host=h.example.com", "--tls-secret=x"}, "--controller-namespace"},
		{[]string{"--expose=ingress", "--host=h.example.com", "--ingress-class=nginx", "--tls-issuer=a/b"}, "issuer/NAME"},
		{[]string{"--expose=ingress", "--host=h.example.com", "--ingress-class=nginx", "--tls-secret=a: b"}, "no object's name"},
		{[]string{"--expose=ingress", "--host=h.example.com", "--gateway=a/b"}, "for --expose gateway"},
		{[]string{"--expose=gateway", "--host=h.example.com"}, "NAMESPACE/NAME"},
		{[]string{"--expose=gateway", "--host=h.example.com", "--gateway=a/b", "--tls-secret=c"}, "the Gateway has the certificate"},
		{[]string{"--host=h.example.com"}, "does nothing without --expose"},
		{[]string{"--controller-namespace=x"}, "does nothing without --expose"},
		{[]string{"--deploy=../x"}, "no path within a repository"},
		{[]string{"--deploy=/x"}, "no path within a repository"},
		{[]string{"--deploy=-k"}, "no path within a repository"},
		{[]string{"--deploy=kustomize:../x"}, "no path within a repository"},
		{[]string{"--deploy=x", "--deploy-namespace=A"}, "no object's name"},
		{[]string{"--deploy-namespace=a"}, "do nothing without --deploy"},
		{[]string{"--deploy=x", "--kubectl-image=a b"}, "parsing image"},
	} {
		base := []string{"scaffold", "--repo=https://gitee.com/team/app", "--image=app"}
		_, _, err := hookTool(t, append(base, tt.args...)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v lacks %q", tt.args, err, tt.want)
		}
	}
}
