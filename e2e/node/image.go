package node

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// image is what one holds: its one layer and how it starts.
type image struct {
	files  map[string]string // on this machine, by the file in the image
	links  map[string]string // to where they point
	config v1.Config
}

// folders are in every image; programs expect them. The last has mode 1777.
var folders = []string{"etc/", "root/", "var/", "var/run/", "var/run/ko/", "workspace/", "tmp/"}

// commitFile is what programs of Tekton before v0.41 read to know of which commit they
// are, and end without.
const commitFile = "var/run/ko/HEAD"

const accounts = "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"

// build returns the image.
func (i image) build() (v1.Image, error) {
	layer, err := i.layer()
	if err != nil {
		return nil, err
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	if img, err = mutate.AppendLayers(img, static.NewLayer(layer, types.OCIUncompressedLayer)); err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", "amd64", i.config
	return mutate.ConfigFile(img, file)
}

func (i image) layer() ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, dir := range folders {
		mode := int64(0o755)
		if dir == "tmp/" || dir == "workspace/" {
			mode = 0o1777
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode}); err != nil {
			return nil, err
		}
	}
	if err := add(w, "etc/passwd", []byte(accounts), 0o644); err != nil {
		return nil, err
	}
	if err := add(w, commitFile, []byte(strings.Repeat("0", 40)), 0o644); err != nil {
		return nil, err
	}
	for at, file := range i.files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := add(w, at, content, 0o755); err != nil {
			return nil, err
		}
	}
	for at, to := range i.links {
		link := &tar.Header{Typeflag: tar.TypeSymlink, Name: at, Linkname: to, Mode: 0o777}
		if err := w.WriteHeader(link); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

func add(w *tar.Writer, at string, content []byte, mode int64) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: at, Mode: mode, Size: int64(len(content))}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// with returns the image with the files and links of others, too.
func (i image) with(others ...image) image {
	files, links := map[string]string{}, map[string]string{}
	for _, other := range append([]image{i}, others...) {
		maps.Copy(files, other.files)
		maps.Copy(links, other.links)
	}
	i.files, i.links = files, links
	return i
}

// push puts images on the mirror under their references.
func (n *Node) push(ctx context.Context, images map[string]image) error {
	transport, err := n.transport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.NumCPU())
	for reference, i := range images {
		group.Go(func() error {
			img, err := i.build()
			if err != nil {
				return fmt.Errorf("making image %s: %w", reference, err)
			}
			ref, err := name.ParseReference(reference)
			if err != nil {
				return err
			}
			if err := remote.Write(ref, img, remote.WithContext(ctx), remote.WithTransport(transport)); err != nil {
				return fmt.Errorf("pushing image %s: %w", reference, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// koImage is the form of Tekton's images: one program, for a user without rights.
func koImage(program string) image {
	at := path.Join("/ko-app", filepath.Base(program))
	return image{
		files: map[string]string{strings.TrimPrefix(at, "/"): program},
		config: v1.Config{
			Entrypoint: []string{at},
			User:       "65532",
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/ko-app", "KO_DATA_PATH=/var/run/ko"},
		},
	}
}

// kanikoImage is Kaniko's: its variables are what its users stumble over. The authority
// of the registries is where it looks for such.
func kanikoImage(executor, ca string) image {
	return image{
		files: map[string]string{"kaniko/executor": executor, "kaniko/ssl/certs/ca-certificates.crt": ca},
		config: v1.Config{
			Entrypoint: []string{"/kaniko/executor"},
			WorkingDir: "/workspace",
			Env: []string{
				"HOME=/root", "USER=root", "PATH=/usr/local/bin:/kaniko",
				"SSL_CERT_DIR=/kaniko/ssl/certs", "DOCKER_CONFIG=/kaniko/.docker/",
			},
		},
	}
}

// tekgateImage is what the Dockerfile makes, of the same programs.
func tekgateImage(bin string) image {
	i := image{files: map[string]string{}, config: v1.Config{Entrypoint: []string{"/tekgate"}, User: "65532:65532"}}
	for _, program := range []string{"tekgate", "webhook", "interceptor"} {
		i.files[program] = filepath.Join(bin, program)
	}
	return i
}

// shellImage is Debian's static busybox under all of its names.
func shellImage(busybox string, applets []byte) image {
	i := image{
		files:  map[string]string{"bin/busybox": busybox},
		links:  map[string]string{"usr/bin/env": "/bin/busybox"},
		config: v1.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			i.links["bin/"+applet] = "/bin/busybox"
		}
	}
	return i
}
