package hook

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/internal/hooks"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/template"
	"github.com/tekgate/tekgate/internal/wellknown"
)

func scaffoldCommand() *cobra.Command {
	var s scaffold
	cmd := &cobra.Command{
		Use:   "scaffold",
		Short: "Print all the objects that a build on push takes",
		Long: `Print an EventListener, its TriggerBinding and TriggerTemplate, ServiceAccounts and
their rights, and a Task that fetches the sources and builds and pushes the image
with Kaniko: ready to be applied, and to be changed. What else it takes, which are
secrets, is said on standard error.

--expose adds what leads from outside to the EventListener, by one path only, and a
NetworkPolicy that admits nothing else. --deploy adds a Task that applies manifests of
the repository, with a ServiceAccount of its own that may access only one namespace.
--status adds a Task that reports to the forge when a run starts and what became of it,
with a token that no other Task has.

Nothing that an event holds is put into the text of a script.`,
		Example: `  tekgate hook scaffold --provider gitee --repo https://gitee.com/team/app.git \\
    --image registry.cn-hangzhou.aliyuncs.com/team/app -n ci > app.yaml
  kubectl apply -f app.yaml

  # reached by an Ingress with a certificate of cert-manager, and deployed
  tekgate hook scaffold --provider github --repo https://github.com/team/app.git \\
    --image registry.example.com/team/app -n ci \\
    --expose ingress --host hooks.example.com --ingress-class nginx --tls-issuer letsencrypt \\
    --deploy deploy.yaml

  # the forge shows each commit's status, with a link to the run in Tekton's dashboard
  tekgate hook scaffold --provider gitee --repo https://gitee.com/team/app.git \\
    --image registry.example.com/team/app -n ci --status \\
    --status-url 'https://tekton.example.com/#/namespaces/{namespace}/pipelineruns/{run}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.output.Check(); err != nil {
				return err
			}
			s.chooseKaniko(cmd.Context(), cmd.ErrOrStderr())
			s.chooseStatusImage(cmd.Context(), cmd.ErrOrStderr())
			if err := s.complete(); err != nil {
				return err
			}
			if err := s.print(cmd.OutOrStdout()); err != nil {
				return err
			}
			s.next(cmd.ErrOrStderr())
			return nil
		},
	}
	s.flags(cmd)
	return cmd
}

// scaffold is what the objects are made of. Everything is checked before it is put
// into them.
type scaffold struct {
	kube   kubeflags.Flags
	output cli.Output

	Name, Namespace   string
	Provider, Mode    string
	CloneURL, Branch  string
	Image, Dockerfile string
	Secret, SecretKey string
	Account           string

	GitImage, KanikoImage string

	exposure
	deployment
	statuses

	at          address
	chosen      string // why the provider is the one that it is; "" if it was given
	recommended bool   // Mode was not given
	Repository  string // what the forge calls it
	Destination string // the image with its tag
}

func (s *scaffold) flags(cmd *cobra.Command) {
	s.kube.Add(cmd)
	s.output.Flag(cmd, "objects", objects.Formats...)
	f := cmd.Flags()
	f.StringVar(&s.Provider, "provider", "",
		"`NAME` of the forge (default: that of a --repo with a known host, or "+assumedProvider+"; which is printed)")
	f.StringVar(&s.Mode, "mode", "", "how the hook signs (default: the provider's recommended one, which is printed)")
	f.StringVar(&s.CloneURL, "repo", "", "`URL` of the repository, https://… or git@HOST:OWNER/NAME.git")
	f.StringVar(&s.Branch, "branch", "", "only pushes to `BRANCHES` that match this glob (default: all)")
	f.StringVar(&s.Image, "image", "", "`IMAGE` to build; without a tag, each commit's is its hash")
	f.StringVar(&s.Dockerfile, "dockerfile", "Dockerfile", "`PATH` of the Dockerfile in the repository")
	f.StringVar(&s.Name, "name", "", "`NAME` of the objects (default: the repository's)")
	f.StringVarP(&s.Namespace, "namespace", "n", "default", "`NAMESPACE` of the objects")
	f.StringVar(&s.Secret, "secret", "", "`NAME` of the Secret with the hook's secret (default: NAME-hook)")
	f.StringVar(&s.SecretKey, "secret-key", "secretToken", "`KEY` in it")
	f.StringVar(&s.Account, "service-account", "", "`NAME` of the ServiceAccount of the builds (default: NAME-build)")
	f.StringVar(&s.GitImage, "git-image", "docker.io/alpine/git:2.47.2", "`IMAGE` with git and sh")
	s.exposure.flags(f)
	s.deployment.flags(f)
	s.statuses.flags(f)
	f.StringVar(&s.KanikoImage, "kaniko-image", "",
		"`IMAGE` with Kaniko (default: mutator.kaniko.image of the cluster's configuration, or "+defaultKaniko+")")
}

// complete checks what was given and derives the rest.
func (s *scaffold) complete() error {
	if s.CloneURL == "" || s.Image == "" {
		return errors.New("--repo and --image are needed: what to build, and where the image goes")
	}
	at, err := addressOf(s.CloneURL)
	if err != nil {
		return err
	}
	s.at, s.Repository = at, at.path
	s.chooseProvider()
	if err := s.locatable(); err != nil {
		return err
	}
	if err := s.defaults(); err != nil {
		return err
	}
	if err := s.setDestination(); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := s.expose(s.Name); err != nil {
		return err
	}
	if err := s.deploy(s.Name, s.Namespace); err != nil {
		return err
	}
	if err := s.report(s); err != nil {
		return err
	}
	return s.separate()
}

// defaults derives names and the mode from the repository where no flag gives them.
func (s *scaffold) defaults() error {
	if s.Name == "" {
		if s.Name = objectName(s.Repository); s.Name == "" {
			return fmt.Errorf("the name of repository %s has none of a-z and 0-9, of which names of objects consist: "+
				"name the objects with --name", s.Repository)
		}
	}
	if s.Secret == "" {
		s.Secret = s.Name + "-hook"
	}
	if s.Account == "" {
		s.Account = s.Name + "-build"
	}
	if s.Mode == "" {
		s.Mode = hooks.RecommendedMode(s.Provider)
		s.recommended = s.Mode != ""
	}
	return nil
}

// setDestination leaves the tag to the commit where none was given.
func (s *scaffold) setDestination() error {
	for _, i := range []string{s.Image, s.GitImage, s.KanikoImage, s.KubectlImage, s.StatusImage} {
		if i == "" { // no status is reported
			continue
		}
		if _, err := image.Parse(i); err != nil {
			return err
		}
	}
	ref, err := image.Parse(s.Image)
	if err != nil {
		return err
	}
	if ref.Digest != "" {
		return fmt.Errorf("reading --image %q: an image that is yet to be built has no digest: give a tag or none",
			s.Image)
	}
	s.Destination = s.Image
	if ref.Tag == "" {
		s.Destination += ":$(tt.params.revision)"
	}
	return nil
}

var (
	pathInRepository = lazyregexp.New(`^[A-Za-z0-9_.][A-Za-z0-9_./-]*$`)
)

func (s *scaffold) check() error {
	for _, n := range []struct{ flag, value string }{
		{"--name", s.Name}, {"--namespace", s.Namespace}, {"--secret", s.Secret}, {"--service-account", s.Account},
	} {
		if problems := validation.IsDNS1123Label(n.value); len(problems) > 0 {
			return fmt.Errorf("%s %q is no object's name: %s", n.flag, n.value, problems[0])
		}
	}
	const suffix = len("-listener")
	if len(s.Namespace)+len(s.Name)+1+suffix > validation.DNS1123LabelMaxLength {
		return fmt.Errorf("--name %q is too long: other names are made of it: give a shorter one", s.Name)
	}
	if len(validation.IsConfigMapKey(s.SecretKey)) > 0 {
		return fmt.Errorf("--secret-key %q is no Secret's key", s.SecretKey)
	}
	if !pathInRepository.MatchString(s.Dockerfile) || strings.Contains(s.Dockerfile, "..") {
		return fmt.Errorf("--dockerfile %q is no path within a repository", s.Dockerfile)
	}
	params := map[string]any{
		"provider": s.Provider, "mode": s.Mode, "repositories": []string{s.Repository},
		"secretRef": map[string]any{"secretName": s.Secret, "secretKey": s.SecretKey},
	}
	if err := interceptorAccepts(params); err != nil || s.Branch == "" {
		return err
	}
	// Git has no branches with these characters.
	if strings.ContainsFunc(s.Branch, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError || r == '~' || r == ':'
	}) {
		return fmt.Errorf("--branch %q is no glob of branches: no branch has blanks, '~' or ':' in its name", s.Branch)
	}
	params["branches"] = []string{s.Branch}
	if err := interceptorAccepts(params); err != nil {
		return fmt.Errorf("reading --branch %q: %w", s.Branch, err)
	}
	return nil
}

// interceptorAccepts has the interceptor judge its own params. The secret is of no use to anybody,
// but well formed in every mode.
func interceptorAccepts(params map[string]any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	_, err = interceptor.Sign(raw, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
		provider.Outgoing{Body: []byte("{}"), Time: time.Now()})
	return err
}

//go:embed scaffold*.yaml
var scaffoldTexts embed.FS

// scaffoldTemplate is parsed when it is first used: no other verb needs it.
var scaffoldTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.Read(scaffoldTexts, template.Funcs{
		"quote": quote, "str": yamlString, "plainAPI": plainAPI, "linksRun": linksRun,
	}, nil, "scaffold*.yaml"))
})

// quote returns a YAML string in quotes. JSON is YAML.
func quote(text string) (string, error) {
	quoted, err := json.Marshal(text)
	return string(quoted), err
}

var (
	plainString = lazyregexp.New(`^[A-Za-z][A-Za-z0-9./_-]*$`)
	// yamlWord is a word that YAML 1.1 or 1.2 reads as a boolean or null.
	yamlWord = lazyregexp.New(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

// yamlString returns a YAML string, in quotes where YAML could read the bare text as a number, a
// date, a boolean, null or syntax.
func yamlString(text string) (string, error) {
	if plainString.MatchString(text) && !yamlWord.MatchString(text) {
		return text, nil
	}
	return quote(text)
}

func (s *scaffold) print(out io.Writer) error {
	if s.output.Format == objects.Formats[0] {
		return scaffoldTemplate().Execute(out, "scaffold.yaml", s)
	}
	var text bytes.Buffer
	if err := scaffoldTemplate().Execute(&text, "scaffold.yaml", s); err != nil {
		return err
	}
	list, err := release.Read(&text)
	if err != nil {
		return fmt.Errorf("reading the objects: %w", err)
	}
	return objects.Print(out, &s.output, list)
}

// next says what is not in the objects, since it is secret.
func (s *scaffold) next(out io.Writer) {
	if s.chosen != "" {
		fmt.Fprintf(out, "\n%s\n", s.chosen)
	}
	if s.recommended {
		fmt.Fprintf(out, "\n%s\n", modeNote(s.Provider, s.Mode))
	}
	s.note(out)
	fmt.Fprintf(out, `
What remains to be done:
1. The hook's secret, in a file that holds nothing else:
     %[8]s > secret
     kubectl -n %[1]s create secret generic %[2]s --from-file=%[3]s=secret
     kubectl -n %[1]s label secret %[2]s %[7]s=true
2. At %[4]s, a hook for pushes with that secret (mode %[9]s), content type JSON, to
   %[10]s.
   This does 1 and 2, and checks that a delivery arrives:
     tekgate hook register %[11]s --provider %[4]s --trigger %[5]s -n %[1]s \
       --url %[12]s --token-file FILE%[13]s
3. Credentials of the builds:
     tekgate credentials git --help
     tekgate credentials registry --help
   with --namespace %[1]s --service-account %[6]s
4. To see that it works, and why not:
     tekgate hook send --trigger %[5]s -n %[1]s --body push.json --interceptor
     tekgate hook deliveries -n %[1]s
`, s.Namespace, s.Secret, s.SecretKey, s.Provider, s.Name, s.Account, wellknown.WebhookSecretKey,
		s.makeSecret(), s.Mode, s.address(s.Name), s.CloneURL, s.registerURL(), s.registerAPI())
	if s.Deploy != "" {
		fmt.Fprintf(out, `5. Credentials for fetching the manifests: tekgate credentials git for
   --service-account %s, too. In the manifests, TEKGATE_IMAGE stands for the image.
`, s.DeployAccount)
	}
	s.nextStatus(out, s)
}

// makeSecret returns the command that makes a secret of the mode's form.
func (s *scaffold) makeSecret() string {
	switch s.Mode {
	case "signing-token":
		return `printf 'whsec_%s' "$(openssl rand -base64 32)"`
	case "basic":
		return `printf 'tekton:%s' "$(openssl rand -hex 32)"`
	}
	return "openssl rand -hex 32 | tr -d '\\n'"
}
