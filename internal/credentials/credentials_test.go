package credentials

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestHostAnnotations(t *testing.T) {
	tests := []struct {
		name  string
		own   map[string]string
		taken []map[string]string
		hosts []string
		want  map[string]string
	}{
		{"the first", nil, nil, []string{"a"}, map[string]string{"tekton.dev/git-0": "a"}},
		{"several", nil, nil, []string{"a", "b"}, map[string]string{"tekton.dev/git-0": "a", "tekton.dev/git-1": "b"}},
		{
			"the next free",
			nil,
			[]map[string]string{{"tekton.dev/git-0": "x"}, {"tekton.dev/git-2": "y"}},
			[]string{"a", "b"},
			map[string]string{"tekton.dev/git-1": "a", "tekton.dev/git-3": "b"},
		},
		{
			"there already",
			map[string]string{"tekton.dev/git-5": "a"},
			nil,
			[]string{"a"},
			map[string]string{"tekton.dev/git-5": "a"},
		},
		{
			"its others stay",
			map[string]string{"tekton.dev/git-0": "x", "tekton.dev/docker-0": "y", "note": "z"},
			nil,
			[]string{"a"},
			map[string]string{"tekton.dev/git-0": "x", "tekton.dev/docker-0": "y", "tekton.dev/git-1": "a"},
		},
		{"named twice", nil, nil, []string{"a", "a"}, map[string]string{"tekton.dev/git-0": "a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := hostAnnotations(tt.own, tt.taken, tt.hosts); !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// openssh returns a key in OpenSSH's form as far as this package looks.
func openssh(cipher string) []byte {
	body := append([]byte(opensshMagic), binary.BigEndian.AppendUint32(nil, uint32(len(cipher)))...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: append(body, cipher...)})
}

func TestSSHKey(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(key)
	plain := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	tests := []struct {
		name string
		key  []byte
		want string
	}{
		{"PKCS #8", plain, ""},
		{"no newline at the end", bytes.TrimSpace(plain), ""},
		{"lines of Windows", append(bytes.TrimSpace(bytes.Clone(plain)), "\r\n"...), ""},
		{"OpenSSH", openssh("none"), ""},
		{"OpenSSH with a passphrase", openssh("aes256-ctr"), "has a passphrase"},
		{
			"old form with a passphrase",
			pem.EncodeToMemory(
				&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: der},
			),
			"has a passphrase",
		},
		{
			"PKCS #8 with a passphrase",
			pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}),
			"has a passphrase",
		},
		{
			"truncated",
			pem.EncodeToMemory(
				&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte(opensshMagic + "\xff\xff\xff\xff")},
			),
			"",
		},
		{"the public key", []byte("ssh-ed25519 AAAA sesame"), "name the file without .pub"},
		{
			"a certificate",
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			"holds a CERTIFICATE and no private key",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sshKey(tt.key)
			if tt.want == "" && (err != nil || !bytes.HasSuffix(got, []byte("-----\n"))) {
				t.Errorf("error %v, or no newline at the end", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
}

func certificate(t *testing.T, ca bool, end time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "harbor"},
		NotAfter:              end,
		IsCA:                  ca,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestAuthorities(t *testing.T) {
	now := time.Now()
	a, b := certificate(t, true, now.Add(time.Hour)), certificate(t, true, now.Add(time.Hour))
	blocks, err := authorities(append(bytes.Clone(a), b...), now)
	if err != nil || len(blocks) != 2 {
		t.Fatalf("%d certificates, error %v", len(blocks), err)
	}
	if got := addAuthorities(strings.TrimSpace(string(a)), blocks); got != string(a)+string(b) {
		t.Errorf("adding two to one of them gives\n%s", got)
	}
	if got := addAuthorities(string(a)+string(b), blocks); got != string(a)+string(b) {
		t.Errorf("adding what is there gives\n%s", got)
	}
	for want, text := range map[string][]byte{
		"holds a private key":         pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("sesame")}),
		"is no certificate":           pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"expired at":                  certificate(t, true, now.Add(-time.Hour)),
		"is a server's":               certificate(t, false, now.Add(time.Hour)),
		"holds no certificate in PEM": []byte("x"),
	} {
		if _, err := authorities(text, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

func TestWithPullSecret(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "imagePullSecrets:\n- name: m\n"},
		{"null", "imagePullSecrets:\n- name: m\n"},
		{
			"nodeSelector: {a: b}\nimagePullSecrets: [{name: x}]\n",
			"imagePullSecrets:\n- name: x\n- name: m\nnodeSelector:\n  a: b\n",
		},
		{"imagePullSecrets: [{name: m}] # ours\n", "imagePullSecrets: [{name: m}] # ours\n"},
	}
	for _, tt := range tests {
		if got, err := withPullSecret(tt.in, "m"); err != nil || got != tt.want {
			t.Errorf("withPullSecret(%q) = %q and error %v, want %q", tt.in, got, err, tt.want)
		}
	}
	if _, err := withPullSecret("a: b: c", "m"); err == nil {
		t.Error("what is no YAML is overwritten")
	}
}

func TestMasked(t *testing.T) {
	secret := newSecret(
		"s",
		"Opaque",
		map[string][]byte{"password": []byte("sesame"), ".dockerconfigjson": []byte("sesame")},
	)
	text, _ := json.Marshal(Masked(secret).Object)
	if bytes.Contains(text, []byte("c2VzYW1l")) || !bytes.Contains(text, []byte(`"password":"***"`)) ||
		!bytes.Contains(text, []byte(`".dockerconfigjson":"***"`)) {
		t.Errorf("masked: %s", text)
	}
}
