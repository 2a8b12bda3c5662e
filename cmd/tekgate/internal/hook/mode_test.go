package hook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/hooks"
)

// TestModeHasADefault leaves out --mode everywhere, for every provider.
func TestModeHasADefault(t *testing.T) {
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		w.Write([]byte(`{"eventID":"e2"}`))
	}))
	defer listener.Close()
	body := write(t, "push.json", pushed)
	secret := write(t, "s", "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==")
	for _, p := range hooks.Providers {
		mode := p.RecommendedMode()
		for _, m := range p.Modes {
			if m.Name == mode && p.ExplicitMode && strings.Contains(m.Doc, ": the password") {
				t.Errorf("%s: a password is recommended", p.Name)
			}
		}
		note := "mode " + mode + ", the recommended one for " + p.Name
		common := []string{"--provider=" + p.Name, "--secret-file", secret}
		if p.Name == "generic" {
			common = append(common, "--param=header=X-Signature")
		}
		t.Run(p.Name, func(t *testing.T) {
			out, errOut, err := hookTool(t, append([]string{"sign", "--body", body}, common...)...)
			if err != nil || !strings.Contains(errOut, note) {
				t.Errorf("sign: got %s, error %v", errOut, err)
			}
			if _, errOut, err = hookTool(t, append([]string{"send", "--body", body, "--url", listener.URL},
				common...)...); err != nil || !strings.Contains(errOut, note) {
				t.Errorf("send: got %s, error %v", errOut, err)
			}
			request := write(t, "r", "POST / HTTP/1.1\n"+out+"\n"+pushed)
			if out, errOut, err = hookTool(t, append([]string{"explain", request}, common...)...); err != nil ||
				!strings.Contains(errOut, note) || !strings.Contains(out, "verified") {
				t.Errorf("explain: got %s %s, error %v", out, errOut, err)
			}
			if p.Name == "generic" {
				return // scaffold has no flags for the header
			}
			out, errOut, err = hookTool(t, "scaffold", "--provider="+p.Name, "--repo=https://example.com/team/app",
				"--image=app")
			if err != nil || !strings.Contains(errOut, note) ||
				!strings.Contains(out, "{name: mode, value: "+mode+"}") {
				t.Errorf("scaffold: got %s, error %v", errOut, err)
			}
			if (mode == "signing-token") != strings.Contains(errOut, "whsec_") {
				t.Errorf("scaffold makes a secret of another form than mode %s takes:\n%s", mode, errOut)
			}
		})
	}
}

// TestModeOfATrigger holds that params which are a Trigger's are judged as they are.
func TestModeOfATrigger(t *testing.T) {
	request := write(t, "r", signedRequest(t, "hunter2", "\n"))
	secret := write(t, "s", "hunter2")
	for name, params := range map[string]string{
		"list":   "- {name: provider, value: gitee}\n",
		"object": "provider: gitee\n",
	} {
		out, errOut, err := hookTool(t, "explain", request, "--secret-file", secret, "--params", write(t, "p", params))
		if err == nil || !strings.Contains(out, "param mode is missing") || errOut != "" {
			t.Errorf("%s: got %s %s, error %v", name, out, errOut, err)
		}
		out, _, err = hookTool(t, "explain", request, "--secret-file", secret, "--params",
			write(t, "p", params+map[string]string{"list": "- {name: mode, value: sign}\n",
				"object": "mode: sign\n"}[name]))
		if err != nil || !strings.Contains(out, "verified") {
			t.Errorf("%s with a mode: got %s, error %v", name, out, err)
		}
	}
	for _, bad := range []string{"- provider\n", "just words\n", "- {value: gitee}\n"} {
		if _, _, err := hookTool(t, "explain", request, "--secret-file", secret, "--params",
			write(t, "p", bad)); err == nil || !strings.Contains(err.Error(), "reading the params in") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}
