package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxIndex bounds the files of a layout that are no blobs. They name the images: some
// hundred bytes for each.
const maxIndex = 16 << 20

// copyVerified copies the content of a file of a layout. A blob is named after its digest
// and must have it, so that nothing that reads the layout trusts other bytes.
func copyVerified(out io.Writer, in io.Reader, name string) error {
	if !isBlob(name) {
		n, err := io.Copy(out, io.LimitReader(in, maxIndex+1))
		if err == nil && n > maxIndex {
			err = fmt.Errorf("%s is larger than %d MiB", name, maxIndex>>20)
		}
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), in); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != path.Base(name) {
		return fmt.Errorf("%s has the SHA-256 %s: the archive is damaged, or was changed; get it again", name, got)
	}
	return nil
}

// isBlob reports whether a file of a layout, by its slash-separated path, is a blob.
func isBlob(name string) bool { return path.Dir(name) == "blobs/sha256" }

// checkBlobs verifies the blobs of a layout in a folder.
func checkBlobs(folder string) error {
	entries, err := os.ReadDir(filepath.Join(folder, "blobs", "sha256"))
	if os.IsNotExist(err) {
		return nil // whatever the index names is missing, which its reader says
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := "blobs/sha256/" + entry.Name()
		if !entry.Type().IsRegular() || !inLayout.MatchString(name) {
			continue
		}
		if err := checkBlob(folder, name); err != nil {
			return err
		}
	}
	return nil
}

func checkBlob(folder, name string) error {
	in, err := os.Open(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	defer in.Close()
	return copyVerified(io.Discard, in, name)
}

// checkSizes holds that an image's blobs have the sizes that its manifests name.
func checkSizes(files blobFiles, taken *tree) error {
	for _, n := range taken.nodes {
		for _, d := range slices.Concat(n.children, n.blobs) {
			if err := checkSize(files, d); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkSize(files blobFiles, d ocispec.Descriptor) error {
	info, err := os.Stat(files.path(d.Digest))
	if os.IsNotExist(err) && len(d.URLs) > 0 {
		return nil // nodes fetch it from there
	}
	if err != nil {
		return err
	}
	if info.Size() != d.Size {
		return fmt.Errorf("blob %s has %d bytes, and is said to have %d: the archive is damaged, or was changed; get it again",
			d.Digest, info.Size(), d.Size)
	}
	return nil
}
