package release

import (
	"context"
	"errors"
	"net/url"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/manifests"
)

// decide chooses the issuer of the servers' certificates. It returns a note about the
// choice, and findings about the issuer. A server outside the cluster is started by
// hand, so it uses cert-manager only if the configuration requests it.
func (l *Loaded) decide(
	ctx context.Context, cluster *installer.Cluster,
) (note string, findings []installer.Finding, err error) {
	asked := l.config.Certificates
	if asked.Source == config.SourceSelf {
		return "the servers sign their own certificates (certificates.source: self)", nil, nil
	}
	served, err := cluster.ServesCertManager()
	outside := l.config.Install.WebhookURL != ""
	switch {
	case err != nil:
		return "", nil, err
	case asked.Source == config.SourceAuto && !served:
		return "the servers sign their own certificates, since the cluster serves no cert-manager (certificates.source: auto)",
			nil, nil
	case asked.Source == config.SourceAuto && outside:
		return "the servers sign their own certificates, since the admission server is outside the cluster (certificates.source: auto)",
			nil, nil
	case !served:
		return "", nil,
			errors.New(
				"certificates.source is cert-manager, and the cluster does not serve its kinds Certificate and Issuer (cert-manager.io/v1): install cert-manager first, or set certificates.source to self or auto")
	}
	l.certManager = true
	issuer := "a CA that it makes for them"
	if ref := asked.IssuerRef; ref != nil {
		issuer = ref.Kind + " " + ref.Name
		findings, err = cluster.FindIssuer(ctx, manifest.Issuer(*ref))
	}
	return "the servers get their certificates from cert-manager, by " + issuer + " (certificates.source: " +
		asked.Source + ")", findings, err
}

// request adds the objects that request certificates from cert-manager, if it was chosen.
func (l *Loaded) request() error {
	if !l.certManager {
		return nil
	}
	requests, err := manifests.Certificates()
	if err != nil {
		return err
	}
	var issuer *manifest.Issuer
	if ref := l.config.Certificates.IssuerRef; ref != nil {
		issuer = &manifest.Issuer{Kind: ref.Kind, Name: ref.Name}
	}
	host := ""
	if u, err := url.Parse(l.config.Install.WebhookURL); err == nil {
		host = u.Hostname()
	}
	before := len(l.own)
	all, err := manifest.UseCertManager(l.own, requests, issuer, host)
	if err != nil {
		return err
	}
	l.own = all
	l.Objects = append(l.Objects, all[before:]...)
	return nil
}
