package main

import (
	"context"
	"errors"
	"net/url"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/manifests"
)

// decide settles where the servers' certificates come from, and returns a sentence that
// says so and what the cluster has against it. A server outside the cluster is started
// by hand, so cert-manager serves it only where that was asked for.
func (l *loaded) decide(ctx context.Context, cluster *installer.Cluster) (note string, findings []installer.Finding, err error) {
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
		return "the servers sign their own certificates, since the cluster serves no cert-manager (certificates.source: auto)", nil, nil
	case asked.Source == config.SourceAuto && outside:
		return "the servers sign their own certificates, since the admission server is outside the cluster (certificates.source: auto)", nil, nil
	case !served:
		return "", nil, errors.New("certificates.source is cert-manager, and the cluster does not serve its kinds Certificate and Issuer (cert-manager.io/v1): install cert-manager first, or set certificates.source to self or auto")
	}
	l.certManager = true
	issuer := "a CA that it makes for them"
	if ref := asked.IssuerRef; ref != nil {
		issuer = ref.Kind + " " + ref.Name
		findings, err = cluster.FindIssuer(ctx, installer.Issuer(*ref))
	}
	return "the servers get their certificates from cert-manager, by " + issuer + " (certificates.source: " + asked.Source + ")", findings, err
}

// request adds what asks cert-manager for certificates, where that was decided.
func (l *loaded) request() error {
	if !l.certManager {
		return nil
	}
	requests, err := manifests.Certificates()
	if err != nil {
		return err
	}
	var issuer *installer.Issuer
	if ref := l.config.Certificates.IssuerRef; ref != nil {
		issuer = &installer.Issuer{Kind: ref.Kind, Name: ref.Name}
	}
	host := ""
	if u, err := url.Parse(l.config.Install.WebhookURL); err == nil {
		host = u.Hostname()
	}
	before := len(l.own)
	all, err := installer.UseCertManager(l.own, requests, issuer, host)
	if err != nil {
		return err
	}
	l.own = all
	l.objects = append(l.objects, all[before:]...)
	return nil
}
