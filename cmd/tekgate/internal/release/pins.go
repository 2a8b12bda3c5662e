package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// pins are the flags that say which manifests are trusted.
type pins struct {
	sha256    []string
	plainHTTP bool
	// previous says that --previous-manifest names manifests, too.
	previous bool
}

func (p *pins) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&p.sha256, "sha256", nil,
		"SHA-256 `DIGEST` of a manifest, as sha256sum prints it; with this flag every manifest that is named, and every file of a folder, must have one of these digests (repeatable)")
	f.BoolVar(&p.plainHTTP, "plain-http-manifests", false,
		"read manifests from http:// too, where anyone on the way can change them: pin them by --sha256")
}

var sha256Digest = lazyregexp.New(`^[0-9A-Fa-f]{64}$`)

// loader returns how to read manifests. The embedded release needs no pin, so pins
// without any named manifest are a mistake.
func (p *pins) loader(in io.Reader, named bool) (manifest.Loader, error) {
	l := manifest.Loader{In: in, PlainHTTP: p.plainHTTP}
	for _, digest := range p.sha256 {
		digest = strings.TrimPrefix(digest, "sha256:")
		if !sha256Digest.MatchString(digest) {
			return l, fmt.Errorf("--sha256 %s is not a SHA-256 digest: pass the 64 hexadecimal digits that sha256sum prints",
				digest)
		}
		l.SHA256 = append(l.SHA256, digest)
	}
	if len(l.SHA256) > 0 && !named && !p.previous {
		return l, errors.New("--sha256 pins no manifest, because none is named: " +
			"pass --pipeline-manifest or --triggers-manifest, or leave the flag out")
	}
	return l, nil
}

// loadAll reads manifests.
func (p *pins) loadAll(ctx context.Context, sources []string, in io.Reader) ([]*unstructured.Unstructured, error) {
	loader, err := p.loader(in, true)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, source := range sources {
		read, err := loader.Load(ctx, source)
		if err != nil {
			return nil, err
		}
		objects = append(objects, read...)
	}
	return objects, nil
}
