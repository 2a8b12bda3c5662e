package interceptor

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretRenewer is a SecretGetter that remembers what it read, and can be asked
// for something newer: a Secret that has just been rotated must refuse nobody.
type SecretRenewer interface {
	SecretGetter
	// Renew returns a Secret that was read after the given time, where the API
	// server can be reached, and otherwise what Get returns.
	Renew(ctx context.Context, namespace, name string, after time.Time) (*Secret, error)
}

// SecretsConfig says for how long Secrets are remembered.
type SecretsConfig struct {
	// MaxStale is for how long a value serves on that cannot be read again, since
	// the API server is away.
	MaxStale metav1.Duration `json:"maxStale"`
	// Metrics says that metrics name the Secrets that verified deliveries lately. Then
	// whoever may read metrics learns these names.
	Metrics bool `json:"metrics"`
}

// ReplayConfig bounds which deliveries are remembered, each as a Lease.
type ReplayConfig struct {
	// Retention is how long a delivery is remembered whose signature covers no time. After
	// that it would pass again, unless its body has a time.
	Retention       metav1.Duration `json:"retention"`
	Max             int             `json:"max"`
	MaxPerNamespace int             `json:"maxPerNamespace"` // for the Triggers of one namespace
}

// DeliveriesConfig bounds the recent deliveries that each replica can show.
type DeliveriesConfig struct {
	PerTrigger int `json:"perTrigger"`
	Triggers   int `json:"triggers"`
}

// Serving configures what stands around the checks.
type Serving struct {
	Secrets    SecretsConfig    `json:"secrets"`
	Replay     ReplayConfig     `json:"replay"`
	Deliveries DeliveriesConfig `json:"deliveries"`
}

// defaultServing: ten minutes are longer than an API server takes to be replaced,
// and short enough for a Secret that was revoked during it. A Lease takes about a
// kilobyte of etcd, and a delivery about one of memory. A week is longer than a leak of
// old deliveries mostly takes to be noticed.
func defaultServing() Serving {
	return Serving{
		Secrets: SecretsConfig{MaxStale: metav1.Duration{Duration: 10 * time.Minute}},
		Replay: ReplayConfig{Retention: metav1.Duration{Duration: 7 * 24 * time.Hour}, Max: 40000,
			MaxPerNamespace: 10000},
		Deliveries: DeliveriesConfig{PerTrigger: 50, Triggers: 300},
	}
}

// validate returns a sentence for each problem.
func (s Serving) validate() []error {
	var problems []error
	if s.Secrets.MaxStale.Duration < 0 {
		problems = append(problems, fmt.Errorf("secrets.maxStale is %s: give a duration of zero or more, such as 10m",
			s.Secrets.MaxStale.Duration))
	}
	if s.Replay.Retention.Duration < time.Minute {
		problems = append(problems, fmt.Errorf("replay.retention is %s: give a minute or more, such as 168h",
			s.Replay.Retention.Duration))
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"replay.max", s.Replay.Max}, {"replay.maxPerNamespace", s.Replay.MaxPerNamespace},
		{"deliveries.perTrigger", s.Deliveries.PerTrigger}, {"deliveries.triggers", s.Deliveries.Triggers},
	} {
		if n.value < 1 {
			problems = append(problems, fmt.Errorf("%s is %d: give 1 or more", n.name, n.value))
		}
	}
	return problems
}
