package interceptor_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
)

// giteeDelivery is what Gitee's signature is made of.
type giteeDelivery struct {
	name, token, timestamp, secret string
	header                         map[string][]string
	body                           string
}

// publicSecret is the secret of the deliveries of 2021 that are known in public.
const publicSecret = "bBg5lrt03VixkX85CNqYIcecC0SIGASE"

// giteeDeliveries are one pair of headers that gitee.com sent, and three made
// with openssl.
var giteeDeliveries = []giteeDelivery{
	{name: "captured", token: "Xvh4YPVe6l31XpDRL9J2yeaEXabsckIoUUschpXiVck=", timestamp: "1633679083918",
		secret: publicSecret},
	{name: "words", token: giteeToken, timestamp: fmt.Sprint(signedAt), secret: secret},
	{name: "tutorial", token: "ZNM4ZerjTIkOIalMHdYAHRIcwK3vZsARBJLMdJ3e9us=", timestamp: fmt.Sprint(signedAt),
		secret: "123456"},
	{name: "not ASCII", token: "jdR0Q2HMF2vZgj9MkK/PuHAV5WKWcVWhhy1hyESPYiA=", timestamp: fmt.Sprint(signedAt),
		secret: "密钥-ключ"},
}

// passes says whether the delivery continues at the time that it names.
func (d giteeDelivery) passes(t *testing.T) bool {
	t.Helper()
	ms, err := strconv.ParseInt(d.timestamp, 10, 64)
	if err != nil {
		ms = signedAt
	}
	config := interceptor.Default()
	config.MinSecretLength = 1
	h := interceptor.New(config, interceptor.Options{After: instantly, Callers: anyone{},
		Secrets: secrets{"ci/hook": {"token": []byte(d.secret)}},
		Log:     logr.Discard(), Now: at(ms)})
	req := giteeRequest(body(d.body), param("eventTypes", []string{"**", "*:deleted"}))
	for name, values := range d.header {
		req.Header[name] = values
	}
	req.Header["X-Gitee-Token"], req.Header["X-Gitee-Timestamp"] = []string{d.token}, []string{d.timestamp}
	return send(t, h, req).Continue
}

// checkEveryByte insists that the delivery passes, and that it fails with any one
// byte of its token, timestamp or secret changed.
func checkEveryByte(t *testing.T, d giteeDelivery) {
	t.Helper()
	if !d.passes(t) {
		t.Fatal("the delivery is refused")
	}
	changed := func(s string, i int) string {
		b := []byte(s)
		switch c := b[i]; {
		case c >= '0' && c <= '8' || c >= 'A' && c < 'Z' || c >= 'a' && c < 'z':
			b[i]++ // stays within digits and base64, so that the MAC must notice
		default:
			b[i] = '1'
		}
		return string(b)
	}
	for i := range len(d.token) {
		c := d
		if c.token = changed(d.token, i); c.passes(t) {
			t.Errorf("passes with byte %d of the token changed", i)
		}
	}
	for i := range len(d.timestamp) {
		c := d
		if c.timestamp = changed(d.timestamp, i); c.passes(t) {
			t.Errorf("passes with byte %d of the timestamp changed", i)
		}
	}
	for i := range len(d.secret) {
		c := d
		if c.secret = changed(d.secret, i); c.passes(t) {
			t.Errorf("passes with byte %d of the secret changed", i)
		}
	}
}

func TestGiteeVectors(t *testing.T) {
	for _, d := range giteeDeliveries {
		t.Run(d.name, func(t *testing.T) { checkEveryByte(t, d) })
	}
}

// TestGiteeCaptured replays whole deliveries of gitee.com, which lie beside the
// repository and not in it.
func TestGiteeCaptured(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "shared", "webhooks", "gitee-signed", "*.headers.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Skip("the captured deliveries are not here; TestGiteeVectors covers the formula")
	}
	if len(paths) != 8 {
		t.Errorf("found %d deliveries, want 8", len(paths))
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".headers.json"), func(t *testing.T) {
			checkEveryByte(t, readDelivery(t, path))
		})
	}
}

func readDelivery(t *testing.T, path string) giteeDelivery {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Headers map[string][]string }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	event, err := os.ReadFile(strings.TrimSuffix(path, ".headers.json") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return giteeDelivery{
		token: file.Headers["X-Gitee-Token"][0], timestamp: file.Headers["X-Gitee-Timestamp"][0],
		secret: publicSecret, header: file.Headers, body: string(event),
	}
}

// TestGiteeOtherFormulas signs as samples in circulation do. None of it may pass.
func TestGiteeOtherFormulas(t *testing.T) {
	sum := func(key, message string) []byte {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(message))
		return mac.Sum(nil)
	}
	timestamp, b64 := fmt.Sprint(signedAt), base64.StdEncoding.EncodeToString
	right := sum(secret, timestamp+"\n"+secret)
	formulas := map[string]string{
		"twice":            b64([]byte(b64(right))),
		"hexadecimal":      fmt.Sprintf("%x", right),
		"URL-safe":         base64.URLEncoding.EncodeToString(sum(publicSecret, "1633679083918\n"+publicSecret)),
		"no padding":       base64.RawStdEncoding.EncodeToString(right),
		"over the body":    b64(sum(secret, `{"ref":"refs/heads/master"}`)),
		"no newline":       b64(sum(secret, timestamp+secret)),
		"empty key":        b64(sum("", timestamp+"\n")),
		"time alone":       b64(sum(secret, timestamp)),
		"newline at end":   b64(sum(secret, timestamp+"\n"+secret+"\n")),
		"plaintext secret": secret,
		"zeros":            b64(make([]byte, 32)),
	}
	for name, token := range formulas {
		t.Run(name, func(t *testing.T) {
			if got := send(t, newHandler(signedAt), giteeRequest(header("X-Gitee-Token", token))); got.Continue {
				t.Error("passes")
			}
		})
	}
}

// TestGitHubDocumented is the example of GitHub's documentation.
func TestGitHubDocumented(t *testing.T) {
	const signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	key := "It's a Secret to Everybody"
	passes := func(key, text, signature string) bool {
		h := interceptor.New(interceptor.Default(),
			interceptor.Options{After: instantly, Callers: anyone{},
				Secrets: secrets{"ci/hook": {"token": []byte(key)}}, Log: logr.Discard(),
				Now: at(signedAt)})
		return send(t, h, githubRequest(body(text), header("X-Hub-Signature-256", signature))).Continue
	}
	if !passes(key, "Hello, World!", signature) {
		t.Fatal("the documented example is refused")
	}
	for name, part := range map[string]string{"secret": key, "body": "Hello, World!", "signature": signature} {
		for i := range len(part) {
			b := []byte(part)
			b[i] ^= 1
			values := map[string]string{"secret": key, "body": "Hello, World!", "signature": signature}
			values[name] = string(b)
			if passes(values["secret"], values["body"], values["signature"]) {
				t.Errorf("passes with byte %d of the %s changed", i, name)
			}
		}
	}
}

// TestGitHubBytes sends bodies that a careless decoder would change, through the
// JSON that EventListeners make of them.
func TestGitHubBytes(t *testing.T) {
	for _, text := range []string{
		"", "\n", "a\r\nb\n", "\x00", "<>&\u2028\u2029", `{"b":1,"a":1.0e400}`, "\ufeff{}",
		"{\"a\":\"\\ud83d\\ude00\"}", "\U0001F600", strings.Repeat("<", 1<<20),
	} {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(text))
		req := githubRequest(body(text), header("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", mac.Sum(nil))))
		if got := send(t, newHandler(signedAt), req); !got.Continue {
			t.Errorf("%.20q is refused: %s", text, got.Status.Message)
		}
	}
}

func TestProvidersAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range provider.All {
		if p.Name == "" || len(p.Doc) < 20 || len(p.Modes) == 0 || seen[p.Name] {
			t.Errorf("provider %q needs a name of its own, a doc and a mode", p.Name)
		}
		seen[p.Name] = true
	}
}

// TestManyHeaderValues holds that half a million values of one header cost no more
// than reading them.
func TestManyHeaderValues(t *testing.T) {
	many := make([]string, 1<<19)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	start := time.Now()
	got := send(t, newHandler(signedAt), giteeRequest(header("X-Gitee-Token", many...)))
	if got.Continue || !strings.Contains(got.Status.Message, "more than 256 header values") {
		t.Errorf("got %+v", got)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}
