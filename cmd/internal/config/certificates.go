package config

import (
	"errors"
	"fmt"
)

// Where certificates can come from.
const (
	SourceAuto        = "auto"         // cert-manager, where the cluster serves its kinds when Tekgate is installed
	SourceCertManager = "cert-manager" // and nothing else
	SourceSelf        = "self"         // the servers sign their own
)

// Certificates says where the servers' certificates come from.
type Certificates struct {
	// Source is SourceAuto, SourceCertManager or SourceSelf.
	Source string `json:"source,omitempty"`
	// IssuerRef names the issuer; without it cert-manager is asked for a CA first,
	// which issues them.
	IssuerRef *IssuerRef `json:"issuerRef,omitempty"`
}

// IssuerRef is an issuer of cert-manager's.
type IssuerRef struct {
	// Kind is Issuer, for one in the servers' namespace, or ClusterIssuer.
	Kind string `json:"kind"`
	Name string `json:"name"`
}

func (c Certificates) validate() error {
	var problems []error
	if c.Source != SourceAuto && c.Source != SourceCertManager && c.Source != SourceSelf {
		problems = append(problems,
			fmt.Errorf("source: %q is not known: it is %s, %s or %s", c.Source, SourceAuto, SourceCertManager,
				SourceSelf))
	}
	ref := c.IssuerRef
	switch {
	case ref == nil:
		return errors.Join(problems...)
	case c.Source == SourceSelf:
		problems = append(problems,
			errors.New(
				"issuerRef: it names an issuer of cert-manager's, and source: self asks nobody: leave one of them out"))
	case ref.Kind != "Issuer" && ref.Kind != "ClusterIssuer":
		problems = append(problems,
			fmt.Errorf("issuerRef.kind: %q is not known: it is Issuer or ClusterIssuer", ref.Kind))
	}
	if ref.Name == "" {
		problems = append(problems, errors.New("issuerRef.name: an issuer has a name"))
	}
	return errors.Join(problems...)
}
