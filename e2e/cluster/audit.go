package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// audit is the record that an API server writes of the requests that it has answered.
type audit struct {
	path string
	read int // bytes
}

// Answered is an entry of the API server's audit log (audit.k8s.io/v1, Event).
type Answered struct {
	Verb      string `json:"verb"`
	URI       string `json:"requestURI"`
	UserAgent string `json:"userAgent"`
}

const auditPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\n" +
	"rules: [{level: Metadata}]\n"

// newAudited is New for a control plane with an audit log.
func newAudited(ctx context.Context) (*Cluster, error) {
	record := &audit{}
	c, err := prepared(ctx, os.Stderr, func(server *envtest.APIServer, dir string) error {
		record.path = filepath.Join(dir, "audit.log")
		policy := filepath.Join(dir, "audit-policy.yaml")
		server.Configure().Set("audit-policy-file", policy).Set("audit-log-path", record.path)
		return os.WriteFile(policy, []byte(auditPolicy), 0o600)
	})
	if err == nil && !c.Existing() {
		c.audit = record
	}
	return c, err
}

// Requests returns what the audit log has had since the last call. Only a cluster of NewAuditedPool has
// one. A request whose answer has only just arrived may come with the next call.
func (c *Cluster) Requests() ([]Answered, error) {
	text, err := os.ReadFile(c.audit.path)
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(text, '\n') + 1
	var requests []Answered
	for line := range bytes.Lines(text[c.audit.read:end]) {
		var r Answered
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
	c.audit.read = end
	return requests, nil
}
