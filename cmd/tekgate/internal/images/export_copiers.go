package images

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/image"
)

// regsyncFile is the part of regsync's configuration that is written.
type regsyncFile struct {
	Version int           `json:"version"`
	Creds   []regsyncHost `json:"creds,omitempty"`
	Sync    []regsyncStep `json:"sync"`
}

type regsyncHost struct {
	Registry string `json:"registry"`
	TLS      string `json:"tls"`
}

type regsyncStep struct {
	Source string `json:"source"`
	Target string `json:"target"`
	Type   string `json:"type"`
}

// exportRegsync writes regsync's configuration. It copies a digest even if the tag beside it
// has moved, and without a digest what the tag is at the time.
func exportRegsync(e export) (map[string][]byte, []string, error) {
	file := regsyncFile{Version: 1}
	for _, done := range e.images {
		file.Sync = append(file.Sync,
			regsyncStep{upstreamOf(done).String(), targetOf(done).String(), "image"})
	}
	for _, host := range plainHosts(e) {
		file.Creds = append(file.Creds, regsyncHost{host, "disabled"})
	}
	text, err := yaml.Marshal(file)
	return map[string][]byte{"regsync.yml": withHeader(text,
		"regsync once --config regsync.yml",
		"",
		"`regsync check` ends with status 0 even if images are missing: check the mirror with",
		"`tekgate images verify`. A registry without TLS needs an entry under creds with",
		"`tls: disabled` (--plain-http). All platforms are copied and digests are kept; to copy",
		"signatures too, add `defaults: {digestTags: true, referrers: true}`.")}, nil, err
}

// plainHosts returns the registries of an export that are used without TLS.
func plainHosts(e export) []string {
	var hosts []string
	for _, done := range e.images {
		for _, host := range []string{done.From.Canonical().Host, done.To.Host} {
			if (isLoopback(host) || slices.Contains(e.plainHTTP, host)) && !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	slices.Sort(hosts)
	return hosts
}

func isLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return name == "localhost" || net.ParseIP(strings.Trim(name, "[]")).IsLoopback()
}

// exportImageSyncer writes image-syncer's list of images. The tool serializes every index
// again, so the index gets another digest unless it happened to be written that way.
func exportImageSyncer(e export) (map[string][]byte, []string, error) {
	file := map[string]string{}
	for _, done := range e.images {
		file[sourceOf(done).String()] = targetOf(done).String()
	}
	text, err := yaml.Marshal(file)
	head := []string{"image-syncer --proc 6 --auth auth.yaml --images images.yaml", "",
		"image-syncer writes every index of platforms again, which changes its digest; some",
		"indexes it skips and still ends with status 0. It copies all platforms, and no signatures.",
		"Check the mirror with `tekgate images verify`."}
	for _, host := range plainHosts(e) {
		head = append(head, "auth.yaml needs this entry, because the registry has no TLS: "+host+": {insecure: true}")
	}
	var warnings []string
	if names := pinned(e.images); len(names) > 0 {
		warning := fmt.Sprintf("image-syncer changes the digest of an index, but the manifests pin %d images by their "+
			"upstream digest, so pulling these would fail: set mirror.digest to relock (or drop), "+
			"or use --format regsync or `tekgate images copy`: %s", len(names), strings.Join(names, ", "))
		warnings = append(warnings, warning)
		head = append(head, "", "WARNING: the manifests pin the upstream digests of these images, so pulling them from a mirror",
			"that this file filled would fail. Set mirror.digest to relock (or drop), or use another",
			"format:", "- "+strings.Join(names, "\n- "))
	}
	return map[string][]byte{"images.yaml": withHeader(text, head...)}, warnings, err
}

// exportSkopeo writes what `skopeo sync` reads. It puts every image below the destination by
// the last element of its path, or with --scoped by all of its name, and cannot rename it.
func exportSkopeo(e export) (map[string][]byte, []string, error) {
	plain := plainHosts(e)
	hosts, untagged := skopeoHosts(e, plain)
	text, err := yaml.Marshal(hosts)
	how, warnings := skopeoDestination(e.images)
	if slices.ContainsFunc(e.images, func(done image.Rewritten) bool { return slices.Contains(plain, done.To.Host) }) {
		how = "--dest-tls-verify=false " + how
	}
	if len(untagged) > 0 {
		warnings = append(warnings, "skopeo sync gives no tag to an image that is named by digest only, and garbage "+
			"collection removes what has no tag: run `tekgate images copy` afterwards, which adds the tags of "+
			strings.Join(untagged, ", "))
	}
	return map[string][]byte{"skopeo.yaml": withHeader(text,
		"skopeo sync --all --preserve-digests --src yaml --dest docker "+how,
		"",
		"All platforms are copied and digests are kept; signatures are not copied. skopeo stops at an",
		"image whose digest it cannot keep.")}, warnings, err
}

type skopeoHost struct {
	Images    map[string][]string `json:"images"`
	TLSVerify *bool               `json:"tls-verify,omitempty"`
}

// skopeoHosts returns the images by host, and those that have no tag. An image with tag and
// digest is listed by both: the digest alone would get no tag, and the tag may have moved.
func skopeoHosts(e export, plain []string) (hosts map[string]skopeoHost, untagged []string) {
	hosts = map[string]skopeoHost{}
	for _, done := range e.images {
		from := upstreamOf(done)
		if _, seen := hosts[from.Host]; !seen {
			host := skopeoHost{Images: map[string][]string{}}
			if slices.Contains(plain, from.Host) {
				host.TLSVerify = new(false)
			}
			hosts[from.Host] = host
		}
		versions := hosts[from.Host].Images[from.Path]
		for _, version := range []string{from.Tag, from.Digest} {
			if version != "" && !slices.Contains(versions, version) {
				versions = append(versions, version)
			}
		}
		if from.Tag == "" {
			untagged = append(untagged, from.String())
		}
		hosts[from.Host].Images[from.Path] = versions
	}
	return hosts, untagged
}

// skopeoDestination returns the flags with which skopeo puts the images where the rules say,
// or a warning if there are none.
func skopeoDestination(images []image.Rewritten) (how string, warnings []string) {
	for _, scoped := range []bool{false, true} {
		if prefix, ok := commonPrefix(images, func(from image.Reference) string {
			if scoped {
				return from.Repository()
			}
			return from.Path[strings.LastIndex(from.Path, "/")+1:]
		}); ok {
			flag := ""
			if scoped {
				flag = "--scoped "
			}
			return flag + "skopeo.yaml " + prefix, nil
		}
	}
	return "skopeo.yaml MIRROR",
		[]string{"skopeo sync cannot rename images, and this mirror's names are its own: the images would land elsewhere; use `tekgate images copy`, another format, or mirror.layout last-segment or host-path"}
}

// commonPrefix returns what comes before a part of every image's upstream name in its name on
// the mirror, without the slash between them.
func commonPrefix(images []image.Rewritten, part func(from image.Reference) string) (prefix string, ok bool) {
	for i, done := range images {
		p, found := strings.CutSuffix(done.To.Repository(), "/"+part(done.From.Canonical()))
		if !found || i > 0 && p != prefix {
			return "", false
		}
		prefix = p
	}
	return prefix, len(images) > 0
}
