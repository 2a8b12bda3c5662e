package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/manifests"
)

// statuses is how a scaffold's runs report the status of their commit.
type statuses struct {
	Status        bool
	StatusImage   string
	StatusSecret  string
	StatusAPI     string
	StatusContext string
	StatusAccount string
	StatusLink    string // with Tekton's variables

	link      string // with the placeholders of --status-url
	plainHTTP bool
}

func (s *statuses) flags(f *pflag.FlagSet) {
	f.BoolVar(&s.Status, "status", false, "report the status of each commit to the forge: pending, then success or failure")
	f.StringVar(&s.link, "status-url", "",
		"`URL` to which a status links; {namespace} and {run} in it stand for those of the PipelineRun (default: no link)")
	f.StringVar(&s.StatusImage, "status-image", "",
		"`IMAGE` of Tekgate, whose step reports (default: that of the cluster's installation, or of this version)")
	f.StringVar(&s.StatusSecret, "status-secret", "",
		"`NAME` of the Secret with the key token and, for an authority of your own, ca.crt (default: NAME-status)")
	f.StringVar(&s.StatusAPI, "status-api-url", "",
		"base `URL` of the forge's API (default: that of the repository's host)")
	f.BoolVar(&s.plainHTTP, "plain-http", false,
		"with --status, allow an http:// API, which receives the token without encryption")
	f.StringVar(&s.StatusContext, "status-context", "",
		"`NAME` that tells the statuses of a commit apart (default: tekgate/NAME)")
}

var (
	statusContext = lazyregexp.New(`^[A-Za-z0-9_.][A-Za-z0-9_./ -]*$`)
	statusLink    = lazyregexp.New(`^https?://[A-Za-z0-9_.~:/?#@!&*+,;=%{}\[\]-]+$`)
)

// report checks the flags and derives the rest.
func (s *statuses) report(of *scaffold) error {
	if !s.Status {
		for flag, value := range map[string]string{"status-url": s.link, "status-image": s.StatusImage,
			"status-secret": s.StatusSecret, "status-api-url": s.StatusAPI, "status-context": s.StatusContext} {
			if value != "" {
				return fmt.Errorf("--%s does nothing without --status", flag)
			}
		}
		if s.plainHTTP {
			return errors.New("--plain-http does nothing without --status")
		}
		return nil
	}
	if err := forge.Forge(of.Provider).CheckStatus(); err != nil {
		return fmt.Errorf("reading --status: %w", err)
	}
	s.StatusAccount = of.Name + "-status"
	if s.StatusSecret == "" {
		s.StatusSecret = of.Name + "-status"
	}
	if s.StatusContext == "" {
		s.StatusContext = "tekgate/" + of.Name
	}
	if problems := validation.IsDNS1123Subdomain(s.StatusSecret); len(problems) > 0 {
		return fmt.Errorf("--status-secret %q is no object's name: %s", s.StatusSecret, problems[0])
	}
	if !statusContext.MatchString(s.StatusContext) || len(s.StatusContext) > 100 {
		return fmt.Errorf("--status-context %q has to be at most 100 letters, digits, blanks, '.', '_', '/' and '-'",
			s.StatusContext)
	}
	if err := s.chooseAPI(of); err != nil {
		return err
	}
	return s.linkTo(of)
}

// chooseAPI checks --status-api-url. A repository that is cloned without TLS from a forge of your
// own has its API there, too.
func (s *statuses) chooseAPI(of *scaffold) error {
	if s.StatusAPI == "" && of.at.scheme == "http" && knownForge(of.at.host) == "" {
		if !s.plainHTTP {
			return fmt.Errorf("--status would send the token without encryption to http://%s, the forge of --repo: "+
				"pass --status-api-url https://HOST if it has TLS, or --plain-http to allow that", plain(of.at.host))
		}
		s.StatusAPI = "http://" + of.at.host
	}
	if u, err := url.Parse(s.StatusAPI); s.StatusAPI != "" && (err != nil || u.Host == "" || u.User != nil ||
		u.Scheme != "https" && (u.Scheme != "http" || !s.plainHTTP) || !statusLink.MatchString(s.StatusAPI)) {
		return fmt.Errorf("--status-api-url %q has to be https://HOST, without a user; "+
			"--plain-http allows http://HOST, too", withoutSecret(s.StatusAPI))
	}
	_, err := forge.Locate(of.CloneURL, forge.Forge(of.Provider), s.StatusAPI)
	return err
}

// plainAPI reports whether an API is reached without TLS.
func plainAPI(url string) bool { return strings.HasPrefix(strings.ToLower(url), "http://") }

// linksRun reports whether a link names the run.
func linksRun(link string) bool { return strings.Contains(link, "$(params.run)") }

// longestLink is the length of links in bytes that report-status accepts.
const longestLink = 255

// linkTo makes the link of --status-url.
func (s *statuses) linkTo(of *scaffold) error {
	if s.link == "" {
		return nil
	}
	s.StatusLink = strings.NewReplacer("{namespace}", of.Namespace, "{run}", "$(params.run)").Replace(s.link)
	run := of.Name + "-" + strings.Repeat("x", 5) // as the API server makes names of generateName
	sample := strings.ReplaceAll(s.StatusLink, "$(params.run)", run)
	u, err := url.Parse(sample)
	if err != nil || u.Host == "" || u.User != nil || !statusLink.MatchString(s.link) ||
		strings.ContainsAny(sample, "{}") {
		return errors.New("--status-url has to be https://HOST/…, without a user, and with no placeholders but {namespace} and {run}")
	}
	if len(sample) > longestLink {
		return fmt.Errorf("--status-url makes links of %d bytes, with the names of the namespace and the run in it: "+
			"forges accept %d, so give a shorter one", len(sample), longestLink)
	}
	return nil
}

// chooseStatusImage takes the image of the cluster's Tekgate, which its nodes can pull, where no
// flag names one. Where there is no cluster or no Tekgate, it is the published image of this
// version.
func (s *scaffold) chooseStatusImage(ctx context.Context, errOut io.Writer) {
	if !s.Status || s.StatusImage != "" {
		return
	}
	s.StatusImage = "ghcr.io/tekgate/tekgate:" + manifests.Version
	ctx, done := context.WithTimeout(ctx, clusterTimeout)
	defer done()
	image, err := s.clusterTekgate(ctx)
	switch {
	case err != nil:
		fmt.Fprintf(errOut, "Tekgate's image is the published one, since the cluster's could not be read: %v\n", err)
	case image != "":
		s.StatusImage = image
		fmt.Fprintf(errOut, "Tekgate's image is that of the cluster's installation: %s\n", plain(image))
	}
}

// clusterTekgate returns the image of the cluster's admission server; "" if there is no cluster
// or no Tekgate.
func (s *scaffold) clusterTekgate(ctx context.Context) (string, error) {
	cluster, err := s.cluster(ctx)
	if err != nil || cluster == nil {
		return "", err
	}
	found, err := cluster.Get(ctx, live.Deployment, live.Tekgate, wellknown.Webhook)
	if err != nil || found == nil {
		return "", err
	}
	containers, _, err := unstructured.NestedSlice(found.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) == 0 {
		return "", err
	}
	container, _ := containers[0].(map[string]any)
	image, _ := container["image"].(string)
	return image, nil
}

// cluster connects to the cluster; nil if the flags name none and there is none.
func (s *scaffold) cluster(ctx context.Context) (*installer.Cluster, error) {
	rest, err := s.kube.RESTConfig()
	if err != nil {
		if s.kube.Empty() {
			return nil, nil // a scaffold needs no cluster
		}
		return nil, err
	}
	rest.Timeout = clusterTimeout
	return installer.Connect(ctx, rest)
}

// nextStatus says how the token gets to the reports.
func (s *statuses) nextStatus(out io.Writer, of *scaffold) {
	if !s.Status {
		return
	}
	fmt.Fprintf(out, `%d. The token that reports statuses, in a file that holds nothing else. It takes
   %s:
     kubectl -n %s create secret generic %s --from-file=token=FILE
   and --from-file=ca.crt=FILE for a forge whose certificate an authority of your own has signed.
   tekgate hook register does this, too, with --status-token-file FILE%s.
`, of.steps(), forge.Forge(of.Provider).StatusToken(), of.Namespace, s.StatusSecret, s.registerFlag(of))
	if of.Deploy != "" && of.DeployNamespace == of.Namespace {
		fmt.Fprintf(out, `   What is deployed to namespace %s can mount its Secrets, this one and the hook's too: use
   --deploy-namespace if not everyone who may push may have them.
`, of.Namespace)
	}
}

// registerFlag returns the flag that names the Secret to register, where it has another name.
func (s *statuses) registerFlag(of *scaffold) string {
	if s.StatusSecret == of.Name+"-status" {
		return ""
	}
	return " --status-secret " + s.StatusSecret
}

// registerAPI returns the flags that let register use the API that the reports use, where that has
// no TLS.
func (s *statuses) registerAPI() string {
	if !plainAPI(s.StatusAPI) {
		return ""
	}
	return " --plain-http --api-url '" + s.StatusAPI + "'"
}

// steps returns the number of the next step.
func (s *scaffold) steps() int {
	if s.Deploy != "" {
		return 6
	}
	return 5
}
