package pipelines

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// written is a text that a step writes into a result.
type written struct {
	result, text string
}

// literalWrite matches a command that writes a text into a result. Between echo or printf and the
// text there may be options and the format %s.
var literalWrite = lazyregexp.New(`(?:echo|printf)(?:\s+-[neE]+)*(?:\s+["']?%s(?:\\n)?["']?)?\s+("[^"]*"|'[^']*'|[^|>&;"']+?)\s*` +
	`(?:>|\|\s*tee)\s*"?(?:\$\(results\.([A-Za-z0-9_-]+)\.path\)|/tekton/results/([A-Za-z0-9_-]+))`)

// writesIn returns what a script writes into results, as far as one line shows it.
func writesIn(script string) []written {
	var found []written
	for line := range strings.Lines(script) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, match := range literalWrite.FindAllStringSubmatch(line, -1) {
			found = append(found, written{match[2] + match[3], strings.Trim(match[1], `"'`)})
		}
	}
	return found
}

// unknownPart matches what Tekton or a shell fills in.
var unknownPart = lazyregexp.New("\\$\\([^)]*\\)|\\$\\{[^}]*\\}|\\$[A-Za-z0-9_]+|`[^`]*`")

// imageListBlank matches a blank behind an image with its digest, and something after it.
var imageListBlank = lazyregexp.New(`@[^\s,]+[ \t]+[^\s,]`)

// valueProblem says why Chains signs nothing for a value of a result, "" where it may sign. What
// is not written out is not judged.
func valueProblem(result, text string) string {
	text = strings.TrimSpace(text)
	known := unknownPart.ReplaceAllString(text, "x")
	isURL, isDigest := strings.HasSuffix(result, "IMAGE_URL"), strings.HasSuffix(result, "IMAGE_DIGEST")
	switch {
	case isURL && (strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")):
		return "begins with http:// or https://, which is no part of an image's name, so what Chains signs is no image: leave it out"
	case isURL && strings.Contains(known, "@sha256:"):
		return fmt.Sprintf("has a digest, which Chains takes from %sIMAGE_DIGEST and adds, so it signs nothing: leave it out",
			strings.TrimSuffix(result, "IMAGE_URL"))
	case isDigest && known == text && text != "" && !strings.HasPrefix(text, "sha256:"):
		return "does not begin with sha256:, so Chains signs nothing: write sha256: before the digest"
	case result == "IMAGES" && imageListBlank.MatchString(known):
		return "has blanks between images, which Chains does not take them apart at, so it signs none: write commas or new lines"
	}
	return ""
}

// checkValues looks at what a specification gives or writes into the results that Chains reads.
func checkValues(p *rule.Pass, s specification, results []namedItem) {
	var r object.Reader
	for _, result := range results {
		if problem := valueProblem(result.Name, r.Text(result.Fields, "value")); problem != "" {
			p.Report(result.Path+".value", "the value of result %q %s", result.Name, problem)
		}
	}
	for i, step := range r.FieldsList(s.Fields, "steps") {
		path, script := fmt.Sprintf("%s.steps[%d]", s.Path, i), r.Text(step, "script")
		for _, w := range writesIn(script) {
			if problem := valueProblem(w.result, w.text); problem != "" {
				p.Report(path+".script", "what the script writes into result %q %s", w.result, problem)
			}
		}
		checkDigestFiles(p, step, path, script)
	}
}

// nameFile matches a flag of Kaniko that writes an image's name with its digest into a result that
// takes one of both. Its value may be a word of its own.
var nameFile = lazyregexp.New(`(?:^|\s)--(image-name(?:-tag)?-with-digest-file)[=\s]["']?` +
	`(?:\$\(results\.|/tekton/results/)([A-Za-z0-9_-]*IMAGE_(?:URL|DIGEST))(?:\.path\))?["']?(?:\s|$)`)

func checkDigestFiles(p *rule.Pass, step map[string]any, path, script string) {
	var r object.Reader
	at, words := path+".args", strings.Join(slices.Concat(r.TextList(step, "command"), r.TextList(step, "args")), "\n")
	if script != "" {
		at, words = path+".script", script
	}
	for _, match := range nameFile.FindAllStringSubmatch(words, -1) {
		instead := "write IMAGES there, or the name alone"
		if strings.HasSuffix(match[2], "DIGEST") {
			instead = fmt.Sprintf("write --digest-file=$(results.%s.path)", match[2])
		}
		p.Report(at,
			"--%s writes name and digest into result %q, in which Chains wants one of both, so it signs nothing: %s",
			match[1], match[2], instead)
	}
}
