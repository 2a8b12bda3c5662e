package manifest

import (
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/tekgate/tekgate/internal/image"
)

// companion is an image of others that releases of Pipelines name in a flag, from a version
// on until the next one of the flag.
type companion struct{ flag, since, image string }

const (
	busyboxDigest = "@sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791"
	gsutil        = "gcr.io/google.com/cloudsdktool/cloud-sdk" +
		"@sha256:27b2c22bf259d9bc1a291e99c63791ba0c27a04d2db0a43241ba0f1f20f4067f"
	powershell = "mcr.microsoft.com/powershell:nanoserver" +
		"@sha256:b6d5ff841b78bdf2dfed7550000fd4f3437385b8fa686ec0f010be24777654d6"
)

// companions are from config/controller.yaml of the module github.com/tektoncd/pipeline, in
// ascending order of versions.
var companions = []companion{
	{"gsutil-image", "0.17.3", gsutil},
	{"shell-image-win", "0.28.0", powershell},
	{"shell-image", "0.24.0",
		"gcr.io/distroless/base@sha256:aa4fd987555ea10e1a4ec8765da8158b5ffdfef1e72da512c7ede509bc9966c4"},
	{"shell-image", "0.30.0",
		"gcr.io/distroless/base@sha256:cfdc553400d41b47fd231b028403469811fcdbc0e69d66ea8030c5a0b5fbac2b"},
	{"shell-image", "0.33.0",
		"gcr.io/distroless/base@sha256:3cebc059e7e52a4f5a389aa6788ac2b582227d7953933194764ea434f4d70d64"},
	{"shell-image", "0.35.0", "ghcr.io/distroless/busybox" + busyboxDigest},
	{"shell-image", "0.40.0", "distroless.dev/busybox" + busyboxDigest},
	{"shell-image", "0.41.0", "cgr.dev/chainguard/busybox" + busyboxDigest},
}

// companionOf returns the image that a release names in a flag. ok is false if the flag or
// the version is not known.
func companionOf(flag, version string) (origin image.Reference, ok bool) {
	v, err := semver.NewVersion(version)
	if err != nil {
		return image.Reference{}, false
	}
	for _, c := range companions {
		if c.flag == flag && !v.LessThan(semver.MustParse(c.since)) {
			origin, err = image.Parse(c.image)
			ok = err == nil
		}
	}
	return origin, ok
}

// companionBehind returns the upstream image that the value of a flag is a copy of.
func companionBehind(flag string, ref image.Reference, version string) (image.Reference, bool) {
	origin, ok := companionOf(flag, version)
	if !ok || !isCopyOf(ref, origin) {
		return image.Reference{}, false
	}
	if ref.Digest != "" && !isPushedAgain(ref) {
		origin.Digest = ref.Digest
	}
	return origin, true
}

// InPlaceOf returns the image of others that a release names where a reference stands, such as
// the shell image, if the reference is another image.
func InPlaceOf(ref image.Reference, at Place) (image.Reference, bool) {
	origin, ok := companionOf(at.flag, at.version)
	if !ok || !at.tekton || IsPublished(ref) || isCopyOf(ref, origin) {
		return image.Reference{}, false
	}
	return origin, true
}

// isCopyOf reports whether a reference is a copy of an image by its digest, or by its name
// and tag. The name alone does not tell: others publish a busybox, too.
func isCopyOf(ref, origin image.Reference) bool {
	if ref.Digest == origin.Digest || ref.Tag != "" && ref.Tag == origin.DigestTag() {
		return true
	}
	if ref.Tag != "" && ref.Tag != "latest" && ref.Tag != origin.Tag {
		return false
	}
	flat, whole, path := flatten("/"+ref.Path), flatten("/"+origin.Repository()), flatten("/"+origin.Path)
	if !strings.Contains(origin.Path, "/") && (origin.Tag == "" || ref.Tag != origin.Tag) {
		path = whole // a path of one element is too short to tell
	}
	// That of the cloud SDK is no other image's.
	sdk := strings.HasSuffix(path, "/cloud/sdk") && strings.HasSuffix(flat, "/cloud/sdk")
	return sdk || strings.HasSuffix(flat, whole) || strings.HasSuffix(flat, path)
}
