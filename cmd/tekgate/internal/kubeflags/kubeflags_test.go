package kubeflags_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// parsed runs a command line of a verb with the flags.
func parsed(t *testing.T, own func(*cobra.Command), args ...string) (*kubeflags.Flags, *cobra.Command) {
	t.Helper()
	var k kubeflags.Flags
	cmd := &cobra.Command{Use: "verb", Run: func(*cobra.Command, []string) {}}
	if own != nil {
		own(cmd)
	}
	k.Add(cmd)
	if _, errOut, err := clitest.Run(t, cli.Root(cmd), "", append([]string{"verb"}, args...)...); err != nil {
		t.Fatalf("%v: %v %s", args, err, errOut)
	}
	return &k, cmd
}

// TestAllFlags holds that a verb has each of kubectl's flags with kubectl's letter, but for
// --namespace, and that each is described in our words.
func TestAllFlags(t *testing.T) {
	_, cmd := parsed(t, nil)
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	genericclioptions.NewConfigFlags(true).AddFlags(all)
	names := 0
	all.VisitAll(func(want *pflag.Flag) {
		got := cmd.Flags().Lookup(want.Name)
		if want.Name == "namespace" {
			if got != nil {
				t.Error("there is a flag --namespace, which no verb would heed")
			}
			return
		}
		names++
		if got == nil || got.Shorthand != want.Shorthand || got.Usage == want.Usage || !kubeflags.Owns(got) {
			t.Errorf("--%s: got %+v", want.Name, got)
		}
	})
	if names != len(kubeflags.Names()) {
		t.Errorf("%d flags, and the names %v", names, kubeflags.Names())
	}
}

// TestOwnFlagsWin holds that a flag or letter of the verb keeps its meaning.
func TestOwnFlagsWin(t *testing.T) {
	var servers []string
	var short bool
	k, cmd := parsed(t, func(cmd *cobra.Command) {
		cmd.Flags().StringArrayVar(&servers, "server", nil, "registries")
	}, "--server", "registry.example.com")
	if len(servers) != 1 || !k.Empty() || cmd.Flags().ShorthandLookup("s") != nil {
		t.Errorf("--server of the verb: %q, empty %v", servers, k.Empty())
	}
	k, cmd = parsed(t, func(cmd *cobra.Command) { cmd.Flags().BoolVarP(&short, "short", "s", false, "") },
		"-s", "--server", "https://a.example.com")
	config, err := k.RESTConfig()
	if !short || err != nil || config.Host != "https://a.example.com" || cmd.Flags().Lookup("server").Shorthand != "" {
		t.Errorf("-s of the verb: %v, config %v, error %v", short, config, err)
	}
	if !strings.HasPrefix(config.UserAgent, "tekgate/") {
		t.Errorf("the user agent is %q, want tekgate/ under every name of the program", config.UserAgent)
	}
}

// TestNoClusterNamed holds that the default of kubectl is an error, and that whatever names a cluster
// is not taken for it.
func TestNoClusterNamed(t *testing.T) {
	empty := clitest.File(t, "empty", "")
	named := clitest.File(t, "named", `{apiVersion: v1, kind: Config, current-context: a,
contexts: [{name: a, context: {cluster: a}}], clusters: [{name: a, cluster: {server: 'http://localhost:8080'}}]}`)
	for _, tt := range []struct {
		env  string
		args []string
		host string
		err  string
	}{
		{empty, nil, "", "no cluster is named: pass --kubeconfig"},
		{"/none/a:" + empty, nil, "", "KUBECONFIG names /none/a, which does not exist"},
		{empty, []string{"--request-timeout", "3s"}, "", "no cluster is named: pass --kubeconfig"},
		{empty, []string{"--server", "http://localhost:8080"}, "http://localhost:8080", ""},
		{empty, []string{"-s", "https://b.example.com"}, "https://b.example.com", ""},
		{named, nil, "http://localhost:8080", ""},
		{empty, []string{"--kubeconfig", named}, "http://localhost:8080", ""},
		{named, []string{"--context", "b"}, "", `reading the kubeconfig: context "b" does not exist`},
		{empty, []string{"--kubeconfig", "/none"}, "", "reading kubeconfig /none: "},
	} {
		t.Setenv("KUBECONFIG", tt.env)
		k, _ := parsed(t, nil, tt.args...)
		config, err := k.RESTConfig()
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s %v: error %v, want %q", tt.env, tt.args, err, tt.err)
			}
		case err != nil || config.Host != tt.host:
			t.Errorf("%s %v: config %v, error %v", tt.env, tt.args, config, err)
		}
	}
}

// TestValues holds that the flags reach the connection.
func TestValues(t *testing.T) {
	ca := clitest.File(t, "ca.pem", clitest.AuthorityPEM(t))
	k, _ := parsed(t, nil, "--server", "https://a.example.com", "--as", "me", "--as-group", "a", "--as-group", "b",
		"--as-uid", "7", "--as-user-extra", "k=v", "--token", "hunter2", "--request-timeout", "7s",
		"--tls-server-name", "b.example.com", "--certificate-authority", ca, "--disable-compression",
		"--proxy-url", "http://proxy.example.com")
	config, err := k.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	as := config.Impersonate
	if as.UserName != "me" || strings.Join(as.Groups, " ") != "a b" || as.UID != "7" || as.Extra["k"][0] != "v" {
		t.Errorf("impersonation %+v", as)
	}
	if config.BearerToken != "hunter2" || config.Timeout.Seconds() != 7 || config.ServerName != "b.example.com" ||
		config.CAFile != ca || !config.DisableCompression || config.Proxy == nil || k.Empty() {
		t.Errorf("config %s, compression off %v", config, config.DisableCompression)
	}
	if config.Insecure {
		t.Error("the server's certificate is not verified")
	}
}

// TestAgainstServer holds that the API server sees the user that the flags name.
func TestAgainstServer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.Start(t)
	kubeconfig := []string{"--kubeconfig", c.Kubeconfig}
	if got := whoAmI(t, append(kubeconfig, "--as", "jane", "--as-group", "dev", "--as-group", "ops", "--as-uid", "42",
		"--as-user-extra", "team=blue")...); got.Username != "jane" || got.UID != "42" ||
		strings.Join(got.Groups, " ") != "dev ops system:authenticated" || got.Extra["team"][0] != "blue" {
		t.Errorf("with --as and its kin the server sees %+v", got)
	}
	k := kubernetes.NewForConfigOrDie(c.Config)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}
	accounts := k.CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := accounts.CreateToken(t.Context(), "robot",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Without a kubeconfig.
	t.Setenv("KUBECONFIG", clitest.File(t, "empty", ""))
	ca := clitest.File(t, "ca.pem", authority(t, c.Kubeconfig))
	robot := []string{"--server", c.Config.Host, "--token", token.Status.Token}
	const name = "system:serviceaccount:default:robot"
	if got := whoAmI(t, append(robot, "--certificate-authority", ca)...); got.Username != name {
		t.Errorf("with --server, --token and --certificate-authority the server sees %+v", got)
	}
	if got := whoAmI(t, append(robot, "--insecure-skip-tls-verify")...); got.Username != name {
		t.Errorf("with --insecure-skip-tls-verify the server sees %+v", got)
	}
	flags, _ := parsed(t, nil, robot...)
	if _, err := flags.Names(t.Context(), namespaces, ""); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority is trusted: %v", err)
	}
	flags, _ = parsed(t, nil, append(kubeconfig, "--as", "nobody")...)
	_, err = flags.Names(t.Context(), namespaces, "")
	if err == nil || !strings.Contains(err.Error(), `User "nobody"`) {
		t.Errorf("a stranger lists namespaces: %v", err)
	}
	flags, _ = parsed(t, nil, kubeconfig...)
	names, err := flags.Names(t.Context(), namespaces, "")
	if err != nil || !slices.Contains(names, "kube-system") {
		t.Errorf("namespaces %v, error %v", names, err)
	}
}

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// whoAmI asks the server whom it sees.
func whoAmI(t *testing.T, args ...string) authenticationv1.UserInfo {
	t.Helper()
	k, _ := parsed(t, nil, args...)
	config, err := k.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	review, err := kubernetes.NewForConfigOrDie(rest.CopyConfig(config)).AuthenticationV1().SelfSubjectReviews().Create(
		t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("%v: %v", args[:2], err)
	}
	return review.Status.UserInfo
}

// authority returns the certificates of the API server in a kubeconfig.
func authority(t *testing.T, kubeconfig string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range config.Clusters {
		return string(server.CertificateAuthorityData)
	}
	t.Fatal("no cluster")
	return ""
}

// TestOf holds that the flags of a command line are found by the command alone, for completions.
func TestOf(t *testing.T) {
	t.Setenv("KUBECONFIG", clitest.File(t, "empty", ""))
	_, cmd := parsed(t, nil, "--server", "https://a.example.com", "--as", "me", "--as-group", "a,b", "--as-group", "c")
	k, ok := kubeflags.Of(cmd)
	config, err := k.RESTConfig()
	if !ok || err != nil || config.Host != "https://a.example.com" || config.Impersonate.UserName != "me" ||
		strings.Join(config.Impersonate.Groups, " ") != "a,b c" {
		t.Errorf("ok %v, config %v, error %v", ok, config, err)
	}
	if _, ok := kubeflags.Of(&cobra.Command{Use: "other"}); ok {
		t.Error("a command without the flags has them")
	}
	_, cmd = parsed(t, func(cmd *cobra.Command) { cmd.Flags().String("server", "", "") }, "--server", "registry")
	k, _ = kubeflags.Of(cmd)
	if _, err := k.RESTConfig(); err == nil {
		t.Error("a verb's own --server names a cluster")
	}
}
