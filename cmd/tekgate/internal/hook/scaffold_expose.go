package hook

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// exposure is how a scaffold's EventListener is reached from outside.
type exposure struct {
	Expose string // ingress, gateway or none
	Host   string
	Class  string

	Certificate       string // the name of a Secret
	Issuer, IssuerKey string // of cert-manager, and the annotation that names it

	gateway                       string
	GatewayNamespace, GatewayName string

	Controller string // the namespace of what takes requests from outside
	assumed    string // why Controller is that; "" if it was given
	Address    string
}

func (e *exposure) flags(f *pflag.FlagSet) {
	f.StringVar(&e.Expose, "expose", "none", "`HOW` the forge reaches the EventListener: ingress, gateway (HTTPRoute) or none")
	f.StringVar(&e.Host, "host", "", "`HOST` by which the forge reaches it")
	f.StringVar(&e.Class, "ingress-class", "", "`NAME` of the IngressClass (default: the cluster's default class)")
	f.StringVar(&e.Certificate, "tls-secret", "", "`NAME` of the Secret with the Ingress's certificate")
	f.StringVar(&e.Issuer, "tls-issuer", "",
		"`NAME` of the ClusterIssuer of cert-manager that makes the Ingress's certificate, or issuer/NAME of an Issuer")
	f.StringVar(&e.gateway, "gateway", "", "`NAMESPACE/NAME` of the Gateway that the HTTPRoute belongs to")
	f.StringVar(&e.Controller, "controller-namespace", "",
		"`NAMESPACE` of the Pods that take requests from outside (default: that of the Gateway, or the usual one of the IngressClass)")
}

// controllers are the namespaces in which the controllers of well-known Ingress classes run by
// default, as the installation guide of each has it.
var controllers = map[string]string{
	"nginx": "ingress-nginx", "traefik": "traefik", "higress": "higress-system", "apisix": "ingress-apisix",
	"kong": "kong", "haproxy": "haproxy-controller", "cilium": "kube-system",
}

// expose checks the flags and derives the rest for an EventListener.
func (e *exposure) expose(listener string) error {
	switch e.Expose {
	case "none":
		return e.unused()
	case "ingress", "gateway":
	default:
		return fmt.Errorf("--expose %q is not known: use ingress, gateway or none", e.Expose)
	}
	if e.Host == "" {
		return fmt.Errorf("--expose %s needs --host: the name by which the forge reaches the cluster", e.Expose)
	}
	if problems := validation.IsDNS1123Subdomain(e.Host); len(problems) > 0 || !strings.Contains(e.Host, ".") {
		return fmt.Errorf("--host %q is no host's name, such as hooks.example.com", e.Host)
	}
	if endsInNumber.MatchString(e.Host) {
		return fmt.Errorf("--host %q is an address: Ingress and HTTPRoute take a host's name, such as hooks.example.com",
			e.Host)
	}
	e.Address = "https://" + e.Host + "/" + listener
	if e.Expose == "gateway" {
		return e.byGateway()
	}
	return e.byIngress(listener)
}

// endsInNumber finds IPv4 addresses in all their forms, such as 1.5, which no name of a host has
// (url.spec.whatwg.org, ends in a number).
var endsInNumber = lazyregexp.New(`\.([0-9]+|0x[0-9a-f]*)$`)

// unused refuses flags that would do nothing.
func (e *exposure) unused() error {
	for _, f := range []struct{ name, value string }{
		{"host", e.Host}, {"ingress-class", e.Class}, {"tls-secret", e.Certificate}, {"tls-issuer", e.Issuer},
		{"gateway", e.gateway}, {"controller-namespace", e.Controller},
	} {
		if f.value != "" {
			return fmt.Errorf("--%s does nothing without --expose ingress or --expose gateway", f.name)
		}
	}
	return nil
}

func (e *exposure) byIngress(listener string) error {
	switch {
	case e.gateway != "":
		return errors.New("--gateway is for --expose gateway")
	case e.Certificate == "" && e.Issuer == "":
		return errors.New("--expose ingress needs --tls-secret or --tls-issuer: without TLS, secrets and payloads cross the network in the clear")
	}
	e.IssuerKey = "cert-manager.io/cluster-issuer"
	if kind, name, found := strings.Cut(e.Issuer, "/"); found {
		switch strings.ToLower(kind) {
		case "issuer":
			e.IssuerKey = "cert-manager.io/issuer"
		case "clusterissuer":
		default:
			return fmt.Errorf("--tls-issuer %q has to be the NAME of a ClusterIssuer, or issuer/NAME", e.Issuer)
		}
		e.Issuer = name
	}
	if e.Certificate == "" {
		e.Certificate = listener + "-hook-tls"
	}
	if e.Controller == "" {
		e.Controller = controllers[e.Class]
		e.assumed = "the usual one of IngressClass " + e.Class
	}
	if e.Controller == "" {
		return fmt.Errorf("the namespace in which the controller of IngressClass %q runs is not known: name it with --controller-namespace, so that the NetworkPolicy admits its Pods",
			e.Class)
	}
	return names(
		flagValue{"ingress-class", e.Class}, flagValue{"tls-secret", e.Certificate}, flagValue{"tls-issuer", e.Issuer},
		flagValue{"controller-namespace", e.Controller},
	)
}

func (e *exposure) byGateway() error {
	if e.Class != "" || e.Certificate != "" || e.Issuer != "" {
		return errors.New("--ingress-class, --tls-secret and --tls-issuer are for --expose ingress: the Gateway has the certificate")
	}
	namespace, name, found := strings.Cut(e.gateway, "/")
	if !found || namespace == "" || name == "" {
		return fmt.Errorf("--gateway %q has to be NAMESPACE/NAME of the Gateway that takes the requests", e.gateway)
	}
	e.GatewayNamespace, e.GatewayName = namespace, name
	if e.Controller == "" {
		e.Controller = namespace
		e.assumed = "the Gateway's"
	}
	return names(flagValue{"gateway", namespace}, flagValue{"gateway", name},
		flagValue{"controller-namespace", e.Controller})
}

// note says which namespace the NetworkPolicy admits, where that is a guess.
func (e *exposure) note(out io.Writer) {
	if e.assumed == "" {
		return
	}
	fmt.Fprintf(out, "\nThe NetworkPolicy assumes that requests from outside come from Pods in namespace %s (%s):\n"+
		"pass --controller-namespace if the controller runs in another one.\n", e.Controller, e.assumed)
}

// address says where the forge has to send events.
func (e *exposure) address(listener string) string {
	if e.Address != "" {
		return e.Address
	}
	return fmt.Sprintf("the address by which EventListener %[1]s (Service el-%[1]s) is reached from there", listener)
}

// registerURL is the value of `hook register --url`.
func (e *exposure) registerURL() string {
	if e.Address != "" {
		return e.Address
	}
	return "https://ADDRESS"
}

// flagValue is the value of a flag, which names an object.
type flagValue struct{ flag, value string }

// names refuses values that are not empty and no names of objects.
func names(values ...flagValue) error {
	for _, v := range values {
		if v.value == "" {
			continue
		}
		if problems := validation.IsDNS1123Subdomain(v.value); len(problems) > 0 {
			return fmt.Errorf("--%s: %q is no object's name: %s", v.flag, v.value, problems[0])
		}
	}
	return nil
}

// deployment is the second step of a scaffold: applying manifests of the repository.
type deployment struct {
	Deploy          string // a file, or kustomize, or kustomize:FOLDER; "" for none
	DeployNamespace string
	DeployAccount   string
	KubectlImage    string

	DeployFlag, DeployPath string
}

func (d *deployment) flags(f *pflag.FlagSet) {
	f.StringVar(&d.Deploy, "deploy", "",
		"also apply this `FILE` or folder of the repository; kustomize or kustomize:FOLDER for a kustomization")
	f.StringVar(&d.DeployNamespace, "deploy-namespace", "", "`NAMESPACE` to deploy to (default: that of the objects)")
	f.StringVar(&d.DeployAccount, "deploy-account", "", "`NAME` of the ServiceAccount that deploys (default: NAME-deploy)")
	f.StringVar(&d.KubectlImage, "kubectl-image", "registry.k8s.io/kubectl:v1.37.2", "`IMAGE` with kubectl")
}

// deploy checks the flags and derives the rest.
func (d *deployment) deploy(name, namespace string) error {
	if d.Deploy == "" {
		if d.DeployNamespace != "" || d.DeployAccount != "" {
			return errors.New("--deploy-namespace and --deploy-account do nothing without --deploy")
		}
		return nil
	}
	if d.DeployNamespace == "" {
		d.DeployNamespace = namespace
	}
	if d.DeployAccount == "" {
		d.DeployAccount = name + "-deploy"
	}
	d.DeployFlag, d.DeployPath = "--filename", d.Deploy
	if folder, is := strings.CutPrefix(d.Deploy, "kustomize"); is && (folder == "" || folder[0] == ':') {
		d.DeployFlag, d.DeployPath = "--kustomize", strings.TrimPrefix(folder, ":")
		if d.DeployPath == "" {
			d.DeployPath = "."
		}
	}
	if !deployPath.MatchString(d.DeployPath) || strings.Contains(d.DeployPath, "..") || path.IsAbs(d.DeployPath) {
		return fmt.Errorf("--deploy %q is no path within a repository", d.Deploy)
	}
	for _, n := range []flagValue{{"deploy-namespace", d.DeployNamespace}, {"deploy-account", d.DeployAccount}} {
		if problems := validation.IsDNS1123Label(n.value); len(problems) > 0 {
			return fmt.Errorf("--%s %q is no object's name: %s", n.flag, n.value, problems[0])
		}
	}
	return nil
}

// deployPath is a path in a repository that is not taken for a flag.
var deployPath = lazyregexp.New(`^[A-Za-z0-9_.][A-Za-z0-9_./-]*$`)
