package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	orasregistry "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tekgate/tekgate/internal/image"
)

// Media types of Docker's manifests (distribution, "Image Manifest Version 2, Schema 2").
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

var (
	indexTypes    = []string{ocispec.MediaTypeImageIndex, dockerList}
	manifestTypes = []string{ocispec.MediaTypeImageManifest, dockerManifest}
	acceptedTypes = strings.Join(slices.Concat(indexTypes, manifestTypes), ", ")
)

// maxManifest is the largest manifest in bytes that is read. Registries accept 4 MiB.
const maxManifest = 8 << 20

// manifest is a manifest or an index, to the last byte, which is what its digest covers.
type manifest struct {
	ocispec.Descriptor
	raw []byte
	// served is the media type in the registry's answer, which may be another than the manifest's.
	served string
}

func (m manifest) isIndex() bool { return slices.Contains(indexTypes, m.MediaType) }

// repository is one repository of a registry.
type repository struct {
	*remote.Repository
	client  *auth.Client
	options *Options
}

// account identifies who asks a registry.
type account struct {
	host string
	authn.AuthConfig
}

// repository returns the repository of a reference. Repositories are kept, because they know
// whether their registry has a referrers API, and so are clients, because they hold tokens.
func (c *client) repository(ctx context.Context, ref image.Reference) (*repository, error) {
	c.mu.Lock()
	known := c.repositories[ref.Repository()]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	config, err := c.credentials(ctx, ref)
	if err != nil {
		return nil, err
	}
	plain := c.speaksPlainly(ctx, ref.Host)
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.repositories[ref.Repository()]; known != nil {
		return known, nil
	}
	who := account{ref.Host, config}
	if c.accounts[who] == nil {
		c.accounts[who] = c.login(config)
	}
	r := &repository{client: c.accounts[who], options: &c.Options, Repository: &remote.Repository{
		Client:    c.accounts[who],
		Reference: orasregistry.Reference{Registry: ref.Host, Repository: ref.Path},
		PlainHTTP: plain, TagListPageSize: 1000,
	}}
	if err := r.Reference.ValidateRepository(); err != nil {
		return nil, err
	}
	c.repositories[ref.Repository()] = r
	return r, nil
}

// speaksPlainly reports whether a host is asked without TLS: one that Options.PlainHTTP names, or
// one of this machine that does not speak TLS.
func (c *client) speaksPlainly(ctx context.Context, host string) bool {
	if slices.Contains(c.PlainHTTP, host) || !isLoopback(host) {
		return slices.Contains(c.PlainHTTP, host)
	}
	c.mu.Lock()
	known, asked := c.plainHosts[host]
	c.mu.Unlock()
	if asked {
		return known
	}
	err := c.ping(ctx, "https", host)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		known = true
	case err != nil && broken(err):
		known = c.ping(ctx, "http", host) == nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil {
		c.plainHosts[host] = known
	}
	return known
}

// ping asks once whether a registry of this machine answers at all.
func (c *client) ping(ctx context.Context, scheme, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+"/v2/", nil)
	if err != nil {
		return err
	}
	once := http.Client{Transport: c.once, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	response, err := once.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// credentials returns what the keychain has for a repository.
func (c *client) credentials(ctx context.Context, ref image.Reference) (authn.AuthConfig, error) {
	at, err := name.NewRepository(ref.Repository())
	if err != nil {
		return authn.AuthConfig{}, err
	}
	found, err := authn.Resolve(ctx, c.Keychain, at)
	if err != nil {
		return authn.AuthConfig{}, badCredentials(ref.Host, err)
	}
	config, err := authn.Authorization(ctx, found)
	if err != nil {
		return authn.AuthConfig{}, badCredentials(ref.Host, err)
	}
	return *config, nil
}

func badCredentials(host string, err error) error {
	return remediedError{fmt.Errorf("reading the credentials for %s: %w", host, err),
		"mend the Docker configuration ($DOCKER_CONFIG/config.json, or else ~/.docker/config.json) or its credential " +
			"helper, or set DOCKER_CONFIG to the folder of another"}
}

func (c *client) login(config authn.AuthConfig) *auth.Client {
	return &auth.Client{
		Client: &http.Client{Transport: c.transport},
		Header: http.Header{"User-Agent": {"tekgate"}},
		Cache:  auth.NewCache(),
		Credential: func(context.Context, string) (auth.Credential, error) {
			return auth.Credential{Username: config.Username, Password: config.Password,
				RefreshToken: config.IdentityToken, AccessToken: config.RegistryToken}, nil
		},
		// Names are resolved by the proxy where there is one. The transport sees to it that nothing
		// is sent in clear text.
		BlockedRealmPrefixes: []netip.Prefix{},
	}
}

func acceptManifests() http.Header { return http.Header{"Accept": {acceptedTypes}} }

// reference returns what names the image in its repository: the digest, or else the tag. An
// image without either is "latest".
func reference(ref image.Reference) string {
	switch {
	case ref.Digest != "":
		return ref.Digest
	case ref.Tag != "":
		return ref.Tag
	}
	return "latest"
}

// head asks for a manifest by HEAD, which costs no pull where pulls are counted. The size is -1
// if the registry does not send it.
func (r *repository) head(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	response, err := r.ask(ctx, http.MethodHead, "manifests", reference, acceptManifests())
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer response.Body.Close()
	mediaType, err := r.mediaType(response)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	found := ocispec.Descriptor{MediaType: mediaType, Size: response.ContentLength}
	found.Digest, err = digest.Parse(response.Header.Get("Docker-Content-Digest"))
	if err != nil && response.Header.Get("Docker-Content-Digest") == "" {
		found.Digest, err = digest.Parse(reference)
	}
	if err != nil {
		return ocispec.Descriptor{}, errNoDigest
	}
	return found, nil
}

// errNoDigest means that a registry answers HEAD without a digest.
var errNoDigest = errors.New("the registry answers HEAD without a digest")

// useless reports whether HEAD does not tell, so that GET has to.
func useless(err error) bool {
	return errors.Is(err, errNoDigest) || statusCode(err) == http.StatusMethodNotAllowed
}

// get reads a manifest and verifies its digest.
func (r *repository) get(ctx context.Context, reference string) (manifest, error) {
	var found manifest
	err := r.options.persist(ctx, func() error {
		response, err := r.ask(ctx, http.MethodGet, "manifests", reference, acceptManifests())
		if err != nil {
			return err
		}
		defer response.Body.Close()
		found, err = r.read(response, reference)
		return err
	})
	return found, err
}

func (r *repository) read(response *http.Response, reference string) (manifest, error) {
	mediaType, err := r.mediaType(response)
	if err != nil {
		return manifest{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxManifest+1))
	if err != nil {
		return manifest{}, err
	}
	if len(raw) > maxManifest {
		return manifest{}, unusable("its manifest is larger than %d MiB", maxManifest>>20)
	}
	found := manifest{raw: raw, served: mediaType, Descriptor: ocispec.Descriptor{
		MediaType: declared(raw, mediaType), Digest: digest.FromBytes(raw), Size: int64(len(raw))}}
	wanted, err := digest.Parse(reference)
	if err != nil { // a tag
		wanted, err = digest.Parse(response.Header.Get("Docker-Content-Digest"))
	}
	if err == nil && wanted.Algorithm().Available() {
		found.Digest = wanted.Algorithm().FromBytes(raw)
		if found.Digest != wanted {
			return manifest{}, unusable("the registry sent %s in place of %s", found.Digest, wanted)
		}
	}
	return found, nil
}

// declared returns the media type of a manifest. What the registry says counts, unless that is
// no manifest's.
func declared(raw []byte, said string) string {
	var inside struct{ MediaType string }
	if !slices.Contains(indexTypes, said) && !slices.Contains(manifestTypes, said) &&
		json.Unmarshal(raw, &inside) == nil && inside.MediaType != "" {
		return inside.MediaType
	}
	return said
}

// mediaType returns the media type of an answer.
func (r *repository) mediaType(response *http.Response) (string, error) {
	// If the registry says nothing that can be read, the manifest may say it.
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if mediaType == "text/html" {
		return "", webPageError{host: r.Reference.Registry, redirected: response.Request.URL.Host != r.Reference.Host()}
	}
	return mediaType, nil
}

// webPageError means that a registry answered with a page for people.
type webPageError struct {
	host       string
	redirected bool
}

func (e webPageError) Error() string {
	if e.redirected {
		return e.host + " leads to a web page on another host, not to an image"
	}
	return e.host + " answers with a web page, not with an image"
}

// hasBlob asks for a blob by HEAD, and by GET if the answer to HEAD is an error or wrong.
func (r *repository) hasBlob(ctx context.Context, blob ocispec.Descriptor) error {
	response, err := r.askBlob(ctx, http.MethodHead, blob, nil)
	if err == nil {
		return response.Body.Close()
	}
	if answered(err) {
		return r.firstByte(ctx, blob)
	}
	return err
}

// sendsBlob asks for the first byte of a blob, by GET as nodes do: a registry answers HEAD for blobs
// that its storage has lost.
func (r *repository) sendsBlob(ctx context.Context, blob ocispec.Descriptor) error {
	if !slices.ContainsFunc(partTypes, func(prefix string) bool { return strings.HasPrefix(blob.MediaType, prefix) }) {
		return remediedError{unusable("its media type is %q, which nodes do not unpack", blob.MediaType),
			"it is no image that nodes run: name another under mirror.images"}
	}
	err := r.options.persist(ctx, func() error { return r.firstByte(ctx, blob) })
	if statusCode(err) == 0 {
		return err
	}
	if response, headErr := r.askBlob(ctx, http.MethodHead, blob, nil); headErr == nil {
		_ = response.Body.Close()
		return lostError{err}
	}
	return err
}

func (r *repository) firstByte(ctx context.Context, blob ocispec.Descriptor) error {
	response, err := r.askBlob(ctx, http.MethodGet, blob, http.Header{"Range": {"bytes=0-0"}})
	if slices.Contains(noRange, statusCode(err)) {
		response, err = r.askBlob(ctx, http.MethodGet, blob, nil)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// Only an answer that was read to its end leaves the connection for others.
	if _, err := io.CopyN(io.Discard, response.Body, 2); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// partTypes are how the media types of configurations and layers begin that containerd unpacks.
var partTypes = []string{
	"application/vnd.oci.image.config.", "application/vnd.docker.container.image.", "application/octet-stream",
	"application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.", "application/vnd.erofs.layer.",
}

// noRange are answers of registries that know no ranges, or none of an empty blob.
var noRange = []int{http.StatusBadRequest, http.StatusRequestedRangeNotSatisfiable, http.StatusNotImplemented}

// getBlob reads a small blob, such as the configuration of an image.
func (r *repository) getBlob(ctx context.Context, blob ocispec.Descriptor) ([]byte, error) {
	var text []byte
	err := r.options.persist(ctx, func() error {
		body, err := r.Fetch(ctx, blob)
		if err != nil {
			return err
		}
		defer body.Close()
		text, err = io.ReadAll(io.LimitReader(body, maxManifest+1))
		if err == nil && blob.Digest.Algorithm().FromBytes(text) != blob.Digest {
			err = unusable("the registry sent other content for %s", blob.Digest)
		}
		return err
	})
	return text, err
}

// Fetch opens a blob.
func (r *repository) Fetch(ctx context.Context, blob ocispec.Descriptor) (io.ReadCloser, error) {
	response, err := r.askBlob(ctx, http.MethodGet, blob, nil)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// askBlob asks for a blob. An answer that is a web page, or has another size, is an error.
func (r *repository) askBlob(ctx context.Context, method string, blob ocispec.Descriptor,
	header http.Header) (*http.Response, error) {
	response, err := r.ask(ctx, method, "blobs", blob.Digest.String(), header)
	if err != nil {
		return nil, err
	}
	_, err = r.mediaType(response)
	if size := wholeSize(response); err == nil && size >= 0 && blob.Size > 0 && size != blob.Size {
		err = unusable("the registry announces %d bytes, and it has %d", size, blob.Size)
	}
	if err != nil {
		return nil, errors.Join(err, response.Body.Close())
	}
	return response, nil
}

// wholeSize is the size of what an answer is about, or of which it is a part; -1 if it is unknown.
func wholeSize(response *http.Response) int64 {
	if response.StatusCode != http.StatusPartialContent {
		return response.ContentLength
	}
	_, size, _ := strings.Cut(response.Header.Get("Content-Range"), "/")
	if n, err := strconv.ParseInt(size, 10, 64); err == nil {
		return n
	}
	return -1
}

// ask makes a request about a manifest or a blob. The response has status 200, or 206 if a range was
// asked for; all others are errors. The transport has repeated what may succeed later.
func (r *repository) ask(ctx context.Context, method, what, reference string,
	header http.Header) (*http.Response, error) {
	scheme := "https"
	if r.PlainHTTP {
		scheme = "http"
	}
	ctx = auth.AppendRepositoryScope(ctx, r.Reference, auth.ActionPull)
	request, err := http.NewRequestWithContext(ctx, method,
		fmt.Sprintf("%s://%s/v2/%s/%s/%s", scheme, r.Reference.Host(), r.Reference.Repository, what, reference), nil)
	if err != nil {
		return nil, err
	}
	if header != nil {
		request.Header = header
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, finalError{err}
	}
	if response.StatusCode == http.StatusOK ||
		response.StatusCode == http.StatusPartialContent && header.Get("Range") != "" {
		return response, nil
	}
	defer response.Body.Close()
	return nil, finalError{refusal(response)}
}

// finalError is an error after as many attempts as are worth it.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// refusal is the error in an answer (distribution-spec, "Error Codes").
func refusal(response *http.Response) error {
	said := &errcode.ErrorResponse{Method: response.Request.Method, URL: response.Request.URL,
		StatusCode: response.StatusCode}
	var body struct {
		Errors errcode.Errors `json:"errors"`
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err == nil && json.NewDecoder(bytes.NewReader(text)).Decode(&body) == nil {
		said.Errors = body.Errors
	}
	return said
}
