//go:build e2e

package scenarios_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
)

// sign signs a Task that is stored, as `tkn task sign` does, and adds a VerificationPolicy with
// the key to its namespace:
//
//	sign NAMESPACE TASK
func (p *place) sign(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: sign NAMESPACE TASK")
	}
	space, name := args[0], args[1]
	ts.Check(ts.Exec("kubectl", "get", "-n", space, "task", name, "-o", "json"))
	var task pipelinev1.Task
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &task))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	// Tekton hashes the checksum again, as every verifier of sigstore's library does.
	checksum, err := task.Checksum()
	ts.Check(err)
	hash := sha256.Sum256(checksum)
	signature, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	ts.Check(err)
	ts.Check(ts.Exec("kubectl", "annotate", "-n", space, "task", name,
		"tekton.dev/signature="+base64.StdEncoding.EncodeToString(signature)))
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	ts.Check(err)
	policy, err := json.Marshal(map[string]any{
		"apiVersion": "tekton.dev/v1alpha1", "kind": "VerificationPolicy", "metadata": map[string]any{"name": "signed"},
		"spec": map[string]any{
			"resources": []any{map[string]any{"pattern": ".*"}},
			"authorities": []any{map[string]any{"name": "author", "key": map[string]any{"hashAlgorithm": "sha256",
				"data": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}}},
		},
	})
	ts.Check(err)
	file := ts.MkAbs("signed-policy.json")
	ts.Check(os.WriteFile(file, policy, 0o600))
	ts.Check(ts.Exec("kubectl", "create", "-n", space, "-f", file))
}
