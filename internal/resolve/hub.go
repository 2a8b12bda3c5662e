package resolve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// The types of hubs, as the param type names them.
const (
	artifactHub = "artifact"
	tektonHub   = "tekton"
)

// hubReference is a request with the defaults that Tekton ships (config/resolvers/hubresolver-config.yaml).
type hubReference struct {
	base, kind, catalog, name, version, hub string
}

func (q Request) kindInHub() string { return cmp.Or(q.Params["kind"], strings.ToLower(q.Kind)) }

func (r *Resolver) hubReference(q Request) (hubReference, error) {
	h := hubReference{kind: q.kindInHub(), catalog: q.Params["catalog"], name: q.Params["name"],
		version: q.Params["version"], hub: cmp.Or(q.Params["type"], artifactHub)}
	if h.name == "" || h.version == "" {
		return h, errors.New("the reference does not say what of the hub: give the params name and version")
	}
	switch h.hub {
	case artifactHub:
		h.base = r.options.ArtifactHub
		h.catalog = cmp.Or(h.catalog, "tekton-catalog-"+h.kind+"s")
	case tektonHub:
		h.base = r.options.TektonHub
		h.catalog = cmp.Or(h.catalog, "Tekton")
	default:
		return h, fmt.Errorf("the type %q of hub is not known: write artifact or tekton", h.hub)
	}
	h.base = strings.TrimSuffix(cmp.Or(q.Params["url"], h.base), "/")
	if h.base == "" {
		return h, errors.New("no Tekton Hub is known, since the public one has closed: name yours with --tekton-hub or " +
			"TEKTON_HUB_API, or write type: artifact")
	}
	return h, nil
}

// address returns the URL of a version, or of the list of versions if that is "".
func (h hubReference) address(version string) string {
	parts := []string{h.base, "api/v1/packages", "tekton-" + url.PathEscape(h.kind), url.PathEscape(h.catalog),
		url.PathEscape(h.name)}
	if h.hub == tektonHub {
		parts = []string{h.base, "v1/resource", url.PathEscape(h.catalog), url.PathEscape(h.kind),
			url.PathEscape(h.name)}
	}
	if version != "" {
		parts = append(parts, url.PathEscape(version))
		if h.hub == tektonHub {
			parts = append(parts, "yaml")
		}
	}
	return strings.Join(parts, "/")
}

// hubAnswer has what of both hubs' answers counts. Artifact Hub's list of versions is at the top.
type hubAnswer struct {
	Available []hubVersion `json:"available_versions"`
	Data      struct {
		ManifestRaw string       `json:"manifestRaw"`
		YAML        string       `json:"yaml"`
		Versions    []hubVersion `json:"versions"`
	} `json:"data"`
}

type hubVersion struct {
	Version string `json:"version"`
}

func (r *Resolver) fetchFromHub(ctx context.Context, q Request) (fetched, error) {
	h, err := r.hubReference(q)
	if err != nil {
		return fetched{}, err
	}
	if h.version, err = r.hubVersion(ctx, h); err != nil {
		return fetched{}, err
	}
	answer, got, err := r.askHub(ctx, h.address(h.version))
	if err != nil {
		return fetched{}, err
	}
	got.text = []byte(cmp.Or(answer.Data.ManifestRaw, answer.Data.YAML))
	if len(got.text) == 0 {
		return fetched{}, fmt.Errorf("the hub's answer at %s holds no definition: check that it is the API of a hub of the "+
			"type %s", got.from, h.hub)
	}
	return got, nil
}

func (r *Resolver) askHub(ctx context.Context, address string) (answer hubAnswer, got fetched, err error) {
	got, err = r.http.fetch(ctx, address)
	if err != nil {
		return answer, got, err
	}
	if err := json.Unmarshal(got.text, &answer); err != nil {
		return answer, got, fmt.Errorf("the hub's answer at %s is no JSON: %w: check the address of the hub", got.from, err)
	}
	return answer, got, nil
}

// hubVersion returns the version as the hub writes it: Artifact Hub has 0.7.0 where Tekton Hub has 0.7. For a
// constraint it is the newest that satisfies it.
func (r *Resolver) hubVersion(ctx context.Context, h hubReference) (string, error) {
	if exact, err := semver.NewVersion(h.version); err == nil {
		return h.spelled(exact), nil
	}
	constraint, _ := semver.NewConstraint(h.version)
	if constraint == nil { // the hub says what it makes of it
		return h.version, nil
	}
	answer, got, err := r.askHub(ctx, h.address(""))
	if err != nil {
		return "", err
	}
	var best *semver.Version
	for _, known := range append(answer.Available, answer.Data.Versions...) {
		version, err := semver.NewVersion(known.Version)
		if err == nil && constraint.Check(version) && (best == nil || version.GreaterThan(best)) {
			best = version
		}
	}
	if best == nil {
		return "", fmt.Errorf("the hub has no version %s at %s: write one that it has", h.version, got.from)
	}
	return h.spelled(best), nil
}

func (h hubReference) spelled(version *semver.Version) string {
	if h.hub == tektonHub {
		return fmt.Sprintf("%d.%d", version.Major(), version.Minor())
	}
	return version.String()
}
