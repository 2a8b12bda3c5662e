package registry_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// edit changes what a server answers.
func (s *server) edit(change func(r *http.Request, answer *httptest.ResponseRecorder)) {
	s.answer(func(w http.ResponseWriter, r *http.Request) bool {
		answer := httptest.NewRecorder()
		s.handler.ServeHTTP(answer, r)
		change(r, answer)
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		if r.Method != http.MethodHead {
			_, _ = w.Write(answer.Body.Bytes())
		}
		return true
	})
}

// refuse lets a server answer requests with a status and a message.
func (s *server) refuse(method, part string, code int, message string) {
	s.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method && method != "" || !strings.Contains(r.URL.Path, part) {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"errors":[{"code":"X","message":"`+message+`"}]}`)
		return true
	})
}

// damage changes the bytes of an answer, and not their number.
func damage(answer *httptest.ResponseRecorder) {
	answer.Body = bytes.NewBuffer(bytes.Repeat([]byte(" "), answer.Body.Len()))
}

// says checks an error and its remedy.
func says(t *testing.T, err error, remedy string, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("there is no error")
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error()+": "+remedy, part) {
			t.Errorf("%v: %s lacks %q", err, remedy, part)
		}
	}
}

// partsOf returns the nth member of an index.
func partsOf(t *testing.T, index v1.ImageIndex, n int) (v1.Descriptor, *v1.Manifest) {
	t.Helper()
	all, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(all.Manifests[n].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return all.Manifests[n], manifest
}

// containerd goes by the media type, the size and the digest that a registry announces in its
// answer to HEAD, and in its answer to GET if HEAD announces no digest or no size.
func TestProbeUnusableManifests(t *testing.T) {
	index := string(types.OCIImageIndex)
	tests := []struct {
		name   string
		head   map[string]string // headers of the answer to HEAD
		get    map[string]string
		status registry.Status
		say    string
	}{
		{"no manifest's type", map[string]string{"Content-Type": "application/octet-stream"}, nil,
			registry.StatusUnusable, `announced as "application/octet-stream"`},
		{"JSON", map[string]string{"Content-Type": "application/json; charset=utf-8"}, nil,
			registry.StatusUnusable, `announced as "application/json"`},
		{"schema 1", map[string]string{"Content-Type": "text/plain"}, nil, registry.StatusUnusable, "text/plain"},
		{"no type", map[string]string{"Content-Type": ""}, nil, registry.StatusUnusable, `announced as ""`},
		{"another kind", map[string]string{"Content-Type": string(types.OCIManifestSchema1)}, nil,
			registry.StatusUnusable, "not of that kind"},
		{"another size", map[string]string{"Content-Length": "7"}, nil, registry.StatusUnusable,
			"announced with 7 bytes"},
		{"another digest", map[string]string{"Docker-Content-Digest": other}, nil, registry.StatusUnusable,
			"HEAD announces " + other},
		{"GET's type where HEAD tells no digest",
			map[string]string{"Content-Type": "text/plain", "Docker-Content-Digest": ""}, map[string]string{"Content-Type": index}, registry.StatusOK, ""},
		{"GET's wrong type where HEAD tells no digest", map[string]string{"Docker-Content-Digest": ""},
			map[string]string{"Content-Type": "application/json"}, registry.StatusUnusable, `"application/json"`},
		{"HEAD's type in spite of GET's", map[string]string{"Content-Type": index},
			map[string]string{"Content-Type": "application/json"}, registry.StatusOK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			s.push(t, "x:v1", multi(t, "linux/amd64"))
			s.edit(func(r *http.Request, answer *httptest.ResponseRecorder) {
				change := tt.get
				if r.Method == http.MethodHead {
					change = tt.head
				}
				for key, value := range change {
					if !strings.HasSuffix(r.URL.Path, "/manifests/v1") {
						continue
					}
					if answer.Header().Del(key); value != "" || key == "Content-Type" {
						answer.Header().Set(key, value)
					}
				}
			})
			got := probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", s.host+"/x:v1"))
			if got.Status != tt.status {
				t.Errorf("status %q (%v), want %q", got.Status, got.Err, tt.status)
			}
			warned := strings.Contains(strings.Join(got.Warnings, "\n"), `GET announces it as "application/json"`)
			if odd := tt.status == registry.StatusOK && tt.get["Content-Type"] == "application/json"; warned != odd {
				t.Errorf("warnings %q", got.Warnings) // Tekton goes by GET
			}
			if tt.say != "" {
				says(t, got.Err, got.Remedy, tt.say, "name another mirror")
			}
		})
	}
}

// An image of which one part is wrong.
func TestProbeDamagedParts(t *testing.T) {
	index := multi(t, "linux/amd64", "linux/arm64")
	amd, amdParts := partsOf(t, index, 0)
	arm, armParts := partsOf(t, index, 1)
	type edit = func(*http.Request, *httptest.ResponseRecorder)
	broken := func(_ *http.Request, answer *httptest.ResponseRecorder) { damage(answer) }
	status := func(code int) edit {
		return func(_ *http.Request, answer *httptest.ResponseRecorder) {
			answer.Code, answer.Body = code, &bytes.Buffer{}
			answer.Header().Del("Content-Length")
		}
	}
	onGet := func(change edit) edit {
		return func(r *http.Request, answer *httptest.ResponseRecorder) {
			if r.Method == http.MethodGet {
				change(r, answer)
			}
		}
	}
	dead := func(r *http.Request, answer *httptest.ResponseRecorder) {
		status(http.StatusTemporaryRedirect)(r, answer)
		answer.Header().Set("Location", "http://127.0.0.1:1/storage?secret=s3cr3t")
	}
	wrongHead := func(r *http.Request, answer *httptest.ResponseRecorder) {
		if r.Method == http.MethodHead {
			answer.Header().Set("Content-Length", "7")
		}
	}
	noRanges := func(r *http.Request, answer *httptest.ResponseRecorder) {
		if r.Header.Get("Range") != "" {
			status(http.StatusNotImplemented)(r, answer)
		}
	}
	partial := func(r *http.Request, answer *httptest.ResponseRecorder) {
		if r.Header.Get("Range") != "" {
			answer.Code = http.StatusPartialContent
			answer.Header().Set("Content-Length", "1")
			answer.Header().Set("Content-Range", "bytes 0-0/7")
			answer.Body.Truncate(1)
		}
	}
	tests := []struct {
		name   string
		part   string // of the path
		change edit
		status registry.Status
		says   []string // in the error and remedy, or in the warning
	}{
		{"member with other bytes", amd.Digest.String(), broken, registry.StatusIncomplete,
			[]string{"manifest for linux/amd64", "cannot be used", "replaces it"}},
		{"other member with other bytes", arm.Digest.String(), broken, registry.StatusOK,
			[]string{"manifest for linux/arm64", "cannot be used", "no command"}},
		{"other configuration", armParts.Config.Digest.String(), status(404), registry.StatusOK,
			[]string{"configuration for linux/arm64", "no command"}},
		{"other layer", armParts.Layers[0].Digest.String(), status(404), registry.StatusOK,
			[]string{"layer for linux/arm64", "cannot be copied as a whole"}},
		{"lost layer", amdParts.Layers[0].Digest.String(), onGet(status(404)), registry.StatusIncomplete,
			[]string{"layer for linux/amd64", "HEAD finds it and GET does not", "storage"}},
		{"layer that is refused", amdParts.Layers[0].Digest.String(), onGet(status(403)), registry.StatusIncomplete,
			[]string{"answered 403", "storage"}},
		{"storage that is away", amdParts.Layers[0].Digest.String(), onGet(dead), registry.StatusUnreachable,
			[]string{"connection refused", "http://127.0.0.1:1 answers", "HTTP_PROXY"}},
		{"other layer of which HEAD announces another size", armParts.Layers[0].Digest.String(), wrongHead,
			registry.StatusOK, nil},
		{"no ranges", "/blobs/", noRanges, registry.StatusOK, nil},
		{"layer of another size", amdParts.Layers[0].Digest.String(), partial, registry.StatusIncomplete,
			[]string{"the registry announces 7 bytes", "cannot be used"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			s.push(t, "x:v1", index)
			s.edit(func(r *http.Request, answer *httptest.ResponseRecorder) {
				if strings.Contains(r.URL.Path, tt.part) {
					tt.change(r, answer)
				}
			})
			got := probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", s.host+"/x:v1"))
			switch said := strings.Join(got.Warnings, "\n"); {
			case got.Status != tt.status:
				t.Fatalf("status %q (%v), want %q", got.Status, got.Err, tt.status)
			case tt.status != registry.StatusOK:
				says(t, got.Err, got.Remedy, tt.says...)
				if strings.Contains(got.Err.Error()+got.Remedy, "s3cr3t") {
					t.Errorf("the error contains the secret of the storage: %v: %s", got.Err, got.Remedy)
				}
			case slices.ContainsFunc(tt.says, func(part string) bool { return !strings.Contains(said, part) }),
				len(tt.says) == 0 && said != "":
				t.Errorf("warnings %q, want %q", said, tt.says)
			}
		})
	}
}

// Nodes unpack layers of certain types alone, and fetch foreign layers from elsewhere.
func TestKindsOfLayers(t *testing.T) {
	source, mirror := start(t), start(t)
	layered := func(mediaType types.MediaType, urls ...string) v1.Image {
		img, err := mutate.Append(empty.Image, mutate.Addendum{URLs: urls, MediaType: mediaType,
			Layer: static.NewLayer([]byte(mediaType), mediaType)})
		if err != nil {
			t.Fatal(err)
		}
		return forPlatform(t, img, "linux/amd64")
	}
	source.push(t, "artifact:v1", layered("application/vnd.example.sbom"))
	got := probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", source.host+"/artifact:v1"))
	if got.Status != registry.StatusIncomplete {
		t.Fatalf("status %q", got.Status)
	}
	says(t, got.Err, got.Remedy, `"application/vnd.example.sbom", which nodes do not unpack`, "name another")

	source.push(t, "foreign:v1", layered(types.DockerForeignLayer, "https://layers.example.com/1"))
	source.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		answer := httptest.NewRecorder()
		if source.handler.ServeHTTP(answer, r); answer.Body.String() != string(types.DockerForeignLayer) {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		return true
	})
	for _, want := range []registry.Outcome{registry.Copied, registry.Present} {
		r := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "foreign:v1",
			to(t, "a.io/x:v1", mirror.host+"/foreign:v1"))}})[0]
		if r.Outcome != want {
			t.Errorf("%s: %v, want %s", r.Outcome, r.Err, want)
		}
	}
	got = probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", mirror.host+"/foreign:v1"))
	if got.Status != registry.StatusOK {
		t.Errorf("%s: %v", got.Status, got.Err)
	}
}

// An index that says another size of a member than it has is refused by containerd and oras.
func TestSizesOfMembers(t *testing.T) {
	source, mirror := start(t), start(t)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: single(t, "linux/amd64"),
		Descriptor: v1.Descriptor{Size: 7, Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	source.push(t, "x:v1", index)
	got := probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", source.host+"/x:v1"))
	if got.Status != registry.StatusIncomplete {
		t.Fatalf("status %q: %v", got.Status, got.Err)
	}
	says(t, got.Err, got.Remedy, "announced with 7 bytes", "the index itself is wrong")
	r := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
		to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
	if r.Outcome != registry.Failed {
		t.Fatalf("%s", r.Outcome)
	}
	says(t, r.Err, r.Remedy, "fetching "+source.host, "announced with 7 bytes", "the source itself is damaged")
}

// Nodes pull the member that names their platform, or else the first that names none, if its
// configuration names theirs.
func TestMembersWithoutPlatform(t *testing.T) {
	unnamed := func(platforms ...string) v1.ImageIndex {
		index := v1.ImageIndex(empty.Index)
		for _, p := range platforms {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: single(t, p)})
		}
		return index
	}
	arm, err := v1.ParsePlatform("linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		index v1.ImageIndex
		want  registry.Status
	}{
		{"one", unnamed("linux/amd64"), registry.StatusOK},
		{"the first of two", unnamed("linux/amd64", "linux/arm64"), registry.StatusOK},
		{"the second of two", unnamed("linux/arm64", "linux/amd64"), registry.StatusMissingPlatform},
		{"beside one that names another", mutate.AppendManifests(unnamed("linux/amd64"), mutate.IndexAddendum{
			Add: single(t, "linux/arm64"), Descriptor: v1.Descriptor{Platform: arm}}), registry.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, mirror := start(t), start(t)
			s.push(t, "x:v1", tt.index)
			got := probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", s.host+"/x:v1"))
			if got.Status != tt.want {
				t.Errorf("status %q: %v", got.Status, got.Err)
			}
			copied := mustCopy(t, quick, registry.CopyRequest{Platforms: []string{"linux/amd64"},
				Transfers: []registry.Transfer{transfer(t, s, "x:v1", to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
			if tt.want != registry.StatusOK {
				says(t, copied.Err, copied.Remedy, "none of the platforms")
				return
			}
			if !strings.Contains(strings.Join(got.Warnings, "\n"), "without a platform") {
				t.Errorf("warnings %q", got.Warnings)
			}
			got = probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", mirror.host+"/x:v1"))
			if copied.Outcome != registry.Copied || got.Status != registry.StatusOK {
				t.Errorf("its copy: %s: %v; %s: %v", copied.Outcome, copied.Err, got.Status, got.Err)
			}
		})
	}
}

// Tekton's controller reads no index in an index.
func TestNestedIndexes(t *testing.T) {
	s := start(t)
	amd, err := v1.ParsePlatform("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	s.push(t, "x:v1", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: multi(t, "linux/amd64"),
		Descriptor: v1.Descriptor{Platform: amd}}))
	got := probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", s.host+"/x:v1"))
	said := strings.Join(got.Warnings, "\n")
	if got.Status != registry.StatusOK || !strings.Contains(said, "which is an index itself") {
		t.Errorf("status %q: %v, warnings %q", got.Status, got.Err, got.Warnings)
	}
}

// What lacks a platform under the digest that is wanted is not completed by a copy.
func TestRemedyOfMissingPlatforms(t *testing.T) {
	s := start(t)
	digest := s.push(t, "x:v1", multi(t, "linux/amd64"))
	for _, at := range []string{s.host + "/x:v1@" + digest, s.host + "/x:v1"} {
		got := probe(t, quick, []string{"linux/arm64"}, to(t, "a.io/x:v1@"+digest, at))
		if got.Status != registry.StatusMissingPlatform {
			t.Fatalf("status %q: %v", got.Status, got.Err)
		}
		says(t, got.Err, got.Remedy, "no copy adds a platform")
	}
	got := probe(t, quick, []string{"linux/arm64"}, to(t, "a.io/x:v1", s.host+"/x:v1"))
	says(t, got.Err, got.Remedy, "tekgate images copy")
}

// Each answer to a request has its own remedy.
func TestRemediesOfProbes(t *testing.T) {
	for code, want := range map[int]string{
		http.StatusTooManyRequests: "limits requests: wait", http.StatusInternalServerError: "look at the log",
		http.StatusBadGateway: "look at the log", http.StatusPreconditionFailed: "a policy of",
		http.StatusBadRequest: "leave out --plain-http", http.StatusTeapot: "refuses the request",
	} {
		s := start(t)
		s.refuse("", "/manifests/", code, "no\\n  way")
		options := quick
		options.Attempts = 2
		got := probe(t, options, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
		says(t, got.Err, got.Remedy, want)
		if strings.Contains(got.Remedy, "_PROXY") {
			t.Errorf("%d: %s", code, got.Remedy)
		}
	}
}

// Each reason for which a registry takes no image has its own remedy.
func TestRemediesOfCopies(t *testing.T) {
	tests := []struct {
		name, method, part string
		code               int
		message, want      string
	}{
		{"quota", "PUT", "/manifests/", 403, "adding 1.5 GiB of storage resource, which when updated to current usage " +
			"will exceed the configured upper limit of 10.0 GiB", "free or raise the quota of t/x"},
		{"immutable", "PUT", "/manifests/", 412, "configured as immutable", "tags of t/x cannot be moved"},
		{"immutable elsewhere", "PUT", "/manifests/", 400, "the tag is immutable", "tags of t/x cannot be moved"},
		{"reader", "POST", "/blobs/", 403, "denied", "as an account that may push to t/x"},
		{"no project", "POST", "/blobs/", 404, "project t not found", "create the project or repository of t/x"},
		{"cache", "POST", "/blobs/", 405, "unsupported", "takes no uploads, as a pull-through cache"},
		{"too large", "PUT", "/blobs/", 413, "", "client_max_body_size"},
		{"full", "PUT", "/manifests/", 500, "", "look at the log of"},
		{"busy", "POST", "/blobs/", 429, "", "limits requests"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source, mirror := start(t), start(t)
			source.push(t, "x:v1", single(t, "linux/amd64"))
			mirror.refuse(tt.method, tt.part, tt.code, tt.message)
			options := quick
			options.Attempts = 2
			r := mustCopy(t, options, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
				to(t, "a.io/x:v1", mirror.host+"/t/x:v1"))}})[0]
			says(t, r.Err, r.Remedy, tt.want, mirror.host+" answered an upload with")
			if strings.Contains(r.Remedy, "_PROXY") || strings.Contains(r.Remedy, "tekgate images copy") {
				t.Errorf("remedy %q", r.Remedy)
			}
		})
	}
}

// A registry behind a proxy may name an address for uploads that its clients cannot reach.
func TestUploadAddresses(t *testing.T) {
	for _, location := range []string{"http://registry.internal:5000/v2/x/blobs/uploads/1", ""} {
		source, mirror := start(t), start(t)
		source.push(t, "x:v1", single(t, "linux/amd64"))
		mirror.edit(func(r *http.Request, answer *httptest.ResponseRecorder) {
			if answer.Header().Del("Location"); r.Method == http.MethodPost && location != "" {
				answer.Header().Set("Location", location)
			}
		})
		r := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
			to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
		says(t, r.Err, r.Remedy, "have "+mirror.host+" name its own address for uploads")
	}
}

// Redirects that lead to one another are no fault of the line.
func TestRedirectLoops(t *testing.T) {
	s := start(t)
	s.answer(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
		return true
	})
	got := probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
	says(t, got.Err, got.Remedy, "redirects", "the address is not that of a registry")
}

// An answer to HEAD cannot say why a registry refuses a pull, so GET is asked.
func TestReasonsOfRefusals(t *testing.T) {
	s := start(t)
	s.refuse("", "/manifests/", http.StatusPreconditionFailed, "5 critical vulnerabilities")
	got := probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
	says(t, got.Err, got.Remedy, "5 critical vulnerabilities", "a policy of "+s.host)
}

// A copy that ends with the tag not there, or with something else, has a remedy of its own.
func TestRemediesOfChecks(t *testing.T) {
	for want, change := range map[string]func(answer *httptest.ResponseRecorder){
		"is not there, although the registry took it": func(a *httptest.ResponseRecorder) { a.Code = 404 },
		"the registry changes what it is given": func(a *httptest.ResponseRecorder) {
			a.Header().Set("Docker-Content-Digest", other)
		},
	} {
		source, mirror := start(t), start(t)
		source.push(t, "x:v1", single(t, "linux/amd64"))
		mirror.edit(func(r *http.Request, answer *httptest.ResponseRecorder) {
			if r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/manifests/v1") && answer.Code == 200 {
				change(answer)
			}
		})
		r := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
			to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
		says(t, r.Err, r.Remedy, want)
	}
}

// A source that sends something else than it announces is at fault, and not the mirror.
func TestBadSources(t *testing.T) {
	tests := map[string]func(w http.ResponseWriter, answer *httptest.ResponseRecorder){
		"too little": func(w http.ResponseWriter, answer *httptest.ResponseRecorder) { // and no length
			_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()-1])
			_ = http.NewResponseController(w).Flush()
		},
		"too much": func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
			_, _ = w.Write(answer.Body.Bytes())
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte("more"))
		},
		"another length": func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
			w.Header().Set("Content-Length", "7")
			_, _ = w.Write(answer.Body.Bytes()[:7])
		},
		"other content": func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
			_, _ = w.Write(make([]byte, answer.Body.Len()))
		},
		"a broken connection": func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
			_, _ = w.Write(answer.Body.Bytes()[:7])
			_ = http.NewResponseController(w).Flush()
			reset(w)
		},
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			source, mirror := start(t), start(t)
			source.push(t, "x:v1", single(t, "linux/amd64"))
			source.answer(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
					return false
				}
				answer := httptest.NewRecorder()
				source.handler.ServeHTTP(answer, r)
				send(w, answer)
				return true
			})
			options := quick
			options.Attempts = 2
			r := mustCopy(t, options, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
				to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
			says(t, r.Err, r.Remedy, "fetching "+source.host+"/x:v1: fetching sha256:")
			if strings.Contains(r.Remedy, mirror.host) || strings.Contains(r.Remedy, "_PROXY") ||
				strings.Contains(r.Err.Error(), "ContentLength") {
				t.Errorf("%v: %s", r.Err, r.Remedy)
			}
		})
	}
}

// A damaged part of the mirror's image is replaced, or reported as not replaced.
func TestCopyReplacesDamage(t *testing.T) {
	index := multi(t, "linux/amd64", "linux/arm64")
	damaged, _ := partsOf(t, index, 1)
	for _, replaces := range []bool{true, false} {
		source, mirror := start(t), start(t)
		digest := source.push(t, "x:v1", index)
		mirror.push(t, "x:v1", index)
		var replaced atomic.Bool
		mirror.edit(func(r *http.Request, answer *httptest.ResponseRecorder) {
			switch is := strings.HasSuffix(r.URL.Path, damaged.Digest.String()); {
			case is && r.Method == http.MethodPut:
				replaced.Store(replaces)
			case is && !replaced.Load():
				damage(answer)
			}
		})
		r := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
			to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
		if replaces {
			if r.Outcome != registry.Copied || r.Digest != digest {
				t.Errorf("%s: %v", r.Outcome, r.Err)
			}
			continue
		}
		says(t, r.Err, r.Remedy, "manifest for linux/arm64", "cannot be used", "keeps what it has")
	}
}

// A host that is named for plain HTTP is not asked for TLS, which it may leave without an answer.
func TestPlainHTTPAtOnce(t *testing.T) {
	s := newServer()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := httptest.NewUnstartedServer(s)
	listen.Listener = &noTLS{Listener: inner}
	listen.Start()
	t.Cleanup(listen.Close)
	s.host = inner.Addr().String()
	options := quick
	options.PlainHTTP = []string{s.host}
	began := time.Now()
	got := probe(t, options, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
	if took := time.Since(began); got.Status != registry.StatusMissing || took > 10*time.Second {
		t.Errorf("status %q after %s: %v", got.Status, took, got.Err)
	}
}

// noTLS swallows connections that begin with TLS.
type noTLS struct{ net.Listener }

func (l *noTLS) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err == nil && first[0] != 22 {
			return &begun{Conn: c, Reader: io.MultiReader(bytes.NewReader(first), c)}, nil
		}
	}
}

type begun struct {
	net.Conn
	io.Reader
}

func (b *begun) Read(p []byte) (int, error) { return b.Reader.Read(p) }

// A request is made as often as the options say, and not that often squared.
func TestAttempts(t *testing.T) {
	s := start(t)
	var asked atomic.Int32
	s.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
			asked.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	s.push(t, "x:v1", single(t, "linux/amd64"))
	asked.Store(0)
	probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
	if n := asked.Load(); n != 5 {
		t.Errorf("%d attempts, want 5", n)
	}
}

// A check asks for all parts of an image, and not for all of them at once.
func TestRequestsAtOnce(t *testing.T) {
	s := start(t)
	s.push(t, "x:v1", multi(t, "linux/amd64", "linux/arm64", "linux/arm", "linux/s390x", "linux/ppc64le"))
	var now, most atomic.Int32
	s.answer(func(http.ResponseWriter, *http.Request) bool {
		n := now.Add(1)
		defer now.Add(-1)
		for before := most.Load(); n > before && !most.CompareAndSwap(before, n); before = most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
		return false
	})
	options := quick
	options.Jobs = 1
	got := probe(t, options, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
	if got.Status != registry.StatusOK || most.Load() > 8 {
		t.Errorf("status %q: %v, %d requests at once", got.Status, got.Err, most.Load())
	}
}

// A Docker configuration that cannot be read is named with its remedy.
func TestBrokenCredentials(t *testing.T) {
	s := start(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for _, text := range []string{`{"auths":`, `{"credsStore":"none-of-that-name"}`} {
		file := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
		says(t, got.Err, got.Remedy, "reading the credentials for "+s.host, "mend the Docker configuration")
	}
}

// None of the platforms: the remedy is not about the network.
func TestRemedyOfNoPlatform(t *testing.T) {
	source, mirror := start(t), start(t)
	source.push(t, "x:v1", multi(t, "linux/amd64"))
	r := mustCopy(t, quick, registry.CopyRequest{Platforms: []string{"linux/s390x"}, Transfers: []registry.Transfer{
		transfer(t, source, "x:v1", to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
	says(t, r.Err, r.Remedy, "none of the platforms asked for", "name platforms with --platform")
}

// A token that expires while an upload is prepared is renewed.
func TestTokensThatExpire(t *testing.T) {
	source, mirror := start(t), start(t)
	digest := source.push(t, "x:v1", single(t, "linux/amd64"))
	var expired atomic.Bool
	mirror.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/blobs/") || expired.Swap(true) {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	r := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
		to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
	if r.Outcome != registry.Copied || r.Digest != digest {
		t.Errorf("%s: %v: %s", r.Outcome, r.Err, r.Remedy)
	}
}

// A registry may refuse to mount a layer of another repository, and takes it as an upload.
func TestRefusedMounts(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 405} {
		source, mirror := start(t), start(t)
		source.push(t, "x:v1", single(t, "linux/amd64"))
		var mounts atomic.Int32
		mirror.answer(func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("mount") {
				return false
			}
			mounts.Add(1)
			w.WriteHeader(code)
			return true
		})
		results := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{
			transfer(t, source, "x:v1", to(t, "a.io/x:v1", mirror.host+"/x:v1")),
			transfer(t, source, "x:v1", to(t, "a.io/y:v1", mirror.host+"/y:v1")),
		}})
		for _, r := range results {
			if r.Outcome != registry.Copied {
				t.Errorf("%d: %s: %v", code, r.Outcome, r.Err)
			}
		}
		if mounts.Load() == 0 {
			t.Error("nothing was mounted")
		}
	}
}

// An image that fails takes no other along that shares its layers and its repository.
func TestFailuresStayAlone(t *testing.T) {
	source, mirror := start(t), start(t)
	layers := make([]v1.Layer, 2)
	for i := range layers {
		layer, err := random.Layer(2048, types.OCILayer)
		if err != nil {
			t.Fatal(err)
		}
		layers[i] = layer
	}
	push := func(ref string, layers ...v1.Layer) {
		img, err := mutate.AppendLayers(empty.Image, layers...)
		if err != nil {
			t.Fatal(err)
		}
		source.push(t, ref, img)
	}
	push("x:bad", layers...)
	push("x:good", layers[0])
	shared, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	lost, err := layers[1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	var first atomic.Bool
	begun := make(chan struct{})
	source.answer(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method != http.MethodGet:
			return false
		case strings.HasSuffix(r.URL.Path, "/manifests/good"):
			<-begun
		case strings.HasSuffix(r.URL.Path, lost.String()):
			<-begun
			time.Sleep(200 * time.Millisecond)
			w.WriteHeader(http.StatusNotFound)
			return true
		case strings.HasSuffix(r.URL.Path, shared.String()) && !first.Swap(true):
			close(begun)
			<-r.Context().Done()
			return true
		}
		return false
	})
	bad := transfer(t, source, "x:bad", to(t, "a.io/x:bad", mirror.host+"/x:bad"))
	good := transfer(t, source, "x:good", to(t, "a.io/x:good", mirror.host+"/x:good"))
	results := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{bad, good}})
	says(t, results[0].Err, results[0].Remedy, source.host)
	if results[1].Outcome != registry.Copied {
		t.Errorf("%s: %v", results[1].Outcome, results[1].Err)
	}
}

// Files that are no archives are named as such, without the folders of this program.
func TestBadArchives(t *testing.T) {
	folder := t.TempDir()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, 10240))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	archive := tar.NewWriter(&whole)
	if err := archive.WriteHeader(&tar.Header{Name: "index.json", Size: 2000, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	_, _ = archive.Write(make([]byte, 2000))
	for name, text := range map[string]string{"empty.tar": "", "x.tar.gz": packed.String(), "text.tar": "text",
		"half.tar": whole.String()[:2200]} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := image.Mirror{Registry: "127.0.0.1:1/t"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"empty.tar": "no index.json", "x.tar.gz": "no tar file",
		"half.tar": "ends too early", "text.tar": "no tar file", "none.tar": "no such file"} {
		request := registry.LoadRequest{File: filepath.Join(folder, name), Rules: rules}
		_, err := registry.Load(t.Context(), request, quick)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "tekgate-load") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	_, err = registry.Load(t.Context(), registry.LoadRequest{File: folder, Rules: rules}, quick)
	if err == nil || !strings.Contains(err.Error(), "no index.json") {
		t.Errorf("a folder without images: %v", err)
	}
	_, err = registry.Save(t.Context(), registry.SaveRequest{File: folder}, quick)
	if err == nil || !strings.Contains(err.Error(), "it is a folder: name a file") {
		t.Errorf("saving to a folder: %v", err)
	}
}

// TestRefusedParts holds that the remedy for parts that a registry does not serve follows its answer.
func TestRefusedParts(t *testing.T) {
	for code, want := range map[int]string{
		http.StatusForbidden:           "log in with an account that may pull them",
		http.StatusInternalServerError: "read the log",
		http.StatusNotFound:            "complete it with `tekgate images copy`",
	} {
		for _, what := range []remote.Taggable{single(t, "linux/amd64"), multi(t, "linux/amd64", "linux/arm64")} {
			s := start(t)
			s.push(t, "app:v1", what)
			s.refuse("", "/blobs/", code, "no")
			got := registry.Probe(t.Context(), registry.ProbeRequest{Platforms: []string{"linux/amd64"},
				Images: [][]image.Rewritten{{to(t, "from.io/app:v1", s.host+"/app:v1")}}}, quick)[0]
			if got.Status != registry.StatusIncomplete || !strings.Contains(got.Remedy, want) {
				t.Errorf("%d: %s: %v: %s", code, got.Status, got.Err, got.Remedy)
			}
		}
	}
}
