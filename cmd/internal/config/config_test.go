package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/internal/config"
)

const head = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"

func TestParse(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string // parts of the error; none means success
	}{
		{name: "empty", in: head},
		{name: "no kind", in: "mirror: {preset: daocloud}\n",
			want: []string{"not a Tekgate configuration", "kind: Configuration"}},
		{name: "other kind", in: "apiVersion: v1\nkind: ConfigMap\n", want: []string{"not a Tekgate configuration"}},
		{name: "misspelt section", in: head + "mirrors: {preset: daocloud}\n",
			want: []string{`unknown field "mirrors": did you mean "mirror"?`}},
		{name: "misspelt field", in: head + "mutator: {serviceAcount: {name: a}}\n",
			want: []string{`unknown field "mutator.serviceAcount": did you mean "serviceAccount"?`}},
		{name: "bad preset", in: head + "mirror: {preset: daoclod}\n",
			want: []string{`mirror.preset: "daoclod" is not known`, "daocloud, daocloud-hosts, tektondev, upstream"}},
		{name: "everything at once",
			in: head +
				"mirror: {rules: [{match: ghcr.io, to: x}]}\ninstall: {webhookURL: 'http://x'}\nmutator: {dockerConfig: {path: /root/.docker}}\n",
			want: []string{"mirror.rules[0].match", "install.webhookURL", "mutator.dockerConfig.path"}},
		{name: "unknown fields and bad values",
			in:   head + "mirors: {}\nmirror: {preset: daoclod}\ninstall: {webhookURL: 'http://x'}\n",
			want: []string{`unknown field "mirors"`, `mirror.preset: "daoclod" is not known`, "install.webhookURL"}},
		{name: "failure policies",
			in: head + "install: {failurePolicy: {runs.validate.tekgate.dev: fail, pods.mutate.tekgate.dev: ignore}}\n"},
		{name: "bad failure policies",
			in: head + "install: {failurePolicy: {run.validate.tekgate.dev: fail, pods.mutate.tekgate.dev: Fail, configuration.validate.tekgate.dev: fail}}\n",
			want: []string{`install.failurePolicy: webhook "run.validate.tekgate.dev" does not exist: did you mean "runs.validate.tekgate.dev"?`,
				`install.failurePolicy.pods.mutate.tekgate.dev: "Fail" must be ignore or fail`,
				"install.failurePolicy.configuration.validate.tekgate.dev: it is always ignore"}},
		{name: "a failure policy outside the cluster",
			in:   head + "install: {webhookURL: 'https://h:1', failurePolicy: {runs.validate.tekgate.dev: fail}}\n",
			want: []string{"install.failurePolicy.runs.validate.tekgate.dev: fail needs the Service"}},
		{name: "addresses", in: head + "install: {apiServerCIDRs: [10.0.0.1/32, 'fd00::/8']}\n"},
		{name: "bad addresses", in: head + "install: {apiServerCIDRs: [10.0.0.1]}\n",
			want: []string{`install.apiServerCIDRs[0]: "10.0.0.1" is not a range of addresses`}},
		{name: "a password in a URL", in: head + "install: {webhookURL: 'https://u:p@h:1'}\n",
			want: []string{"install.webhookURL: it has to be https://HOST:PORT and no more, without a user"}},
		{name: "an issuer", in: head + "certificates: {issuerRef: {kind: ClusterIssuer, name: house}}\n"},
		{name: "bad certificates", in: head + "certificates: {source: acme, issuerRef: {kind: Vault}}\n",
			want: []string{`certificates.source: "acme" is not known: it is auto, cert-manager or self`,
				`certificates.issuerRef.kind: "Vault" is not known`, "certificates.issuerRef.name"}},
		{name: "an issuer for nobody", in: head + "certificates: {source: self, issuerRef: {kind: Issuer, name: a}}\n",
			want: []string{"certificates.issuerRef: it names an issuer of cert-manager's"}},
		{name: "not YAML", in: "a: b: c", want: []string{"parsing YAML"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(tt.in))
			if len(tt.want) == 0 && err != nil {
				t.Fatalf("error %v, want none", err)
			}
			for _, part := range tt.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v lacks %q", err, part)
				}
			}
		})
	}
}

func TestLoadMissing(t *testing.T) {
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.yaml")); err == nil ||
		!strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("error %v does not name the file", err)
	}
}

// What install writes for the servers has to be a configuration that they
// read, with everything that it said and without install's own part.
func TestServersPartReadsBack(t *testing.T) {
	c, err := config.Parse(
		[]byte(head +
			"mirror: {registry: r.example.com/t, keep: ['quay.io/**']}\ninstall: {webhookURL: 'https://127.0.0.1:1', apiServerCIDRs: [10.0.0.1/32]}\nmutator: {serviceAccount: {name: builder}}\ninterceptor: {maxAge: 30m}\n"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Servers()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := config.Load(file)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if back.Install.WebhookURL != "" ||
		!reflect.DeepEqual(back.Install.APIServerCIDRs, c.Install.APIServerCIDRs) ||
		!reflect.DeepEqual(back.Mutator, c.Mutator) ||
		back.Mirror.Registry != c.Mirror.Registry || back.Interceptor != c.Interceptor {
		t.Errorf("read back %+v\nwant %+v", back, c)
	}
}
