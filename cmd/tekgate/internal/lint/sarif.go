package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/manifests"
	"github.com/tekgate/tekgate/validator"
)

// The parts of SARIF 2.1.0 (OASIS, 27 March 2020) that are written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name            string      `json:"name"`
		SemanticVersion string      `json:"semanticVersion"`
		InformationURI  string      `json:"informationUri"`
		Rules           []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string       `json:"id"`
		ShortDescription     sarifMessage `json:"shortDescription"`
		FullDescription      sarifMessage `json:"fullDescription"`
		Help                 sarifMessage `json:"help"`
		HelpURI              string       `json:"helpUri"`
		DefaultConfiguration sarifLevel   `json:"defaultConfiguration"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifMessage struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct {
		RuleID              string            `json:"ruleId"`
		RuleIndex           int               `json:"ruleIndex"`
		Level               string            `json:"level"`
		Message             sarifMessage      `json:"message"`
		Locations           []sarifLocation   `json:"locations"`
		PartialFingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysical  `json:"physicalLocation"`
		LogicalLocations []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		ArtifactLocation sarifArtifact `json:"artifactLocation"`
		Region           sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

// sarifLevels are SARIF's words for findings.Severities.
var sarifLevels = map[validator.Severity]string{validator.Error: "error", validator.Warning: "warning",
	validator.Info: "note"}

func sarifOf(r *report, rules []*validator.Rule) sarifLog {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{
		Name: "tekgate", SemanticVersion: strings.TrimPrefix(manifests.Version, "v"),
		InformationURI: "https://github.com/tekgate/tekgate",
		Rules:          []sarifRule{},
	}
	var ids []string
	for _, rule := range rules {
		ids = append(ids, rule.ID)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: rule.ID, ShortDescription: sarifMessage{Text: brief(rule) + "."},
			FullDescription: sarifMessage{Text: rule.Doc},
			Help:            sarifMessage{Text: rule.Doc, Markdown: rule.Doc}, HelpURI: reference(rule),
			DefaultConfiguration: sarifLevel{sarifLevels[rule.Severity]},
		})
	}
	seen := map[string]int{}
	for _, p := range r.problems {
		run.Results = append(run.Results, p.sarif(slices.Index(ids, p.Rule), seen))
	}
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

func (p *problem) sarif(rule int, seen map[string]int) sarifResult {
	place := sarifLocation{PhysicalLocation: sarifPhysical{
		ArtifactLocation: sarifArtifact{fileURI(p.File)}, Region: sarifRegion{StartLine: p.Line, StartColumn: p.Column},
	}}
	if p.Kind != "" {
		name := strings.Trim(p.Namespace+"/"+p.Kind+"/"+p.Name, "/")
		place.LogicalLocations = []sarifLogical{{FullyQualifiedName: name, Kind: "resource"}}
	}
	return sarifResult{
		RuleID: p.Rule, RuleIndex: rule, Level: sarifLevels[p.Severity], Message: sarifMessage{Text: p.Message},
		Locations: []sarifLocation{place}, PartialFingerprints: map[string]string{"tekgate/v1": p.fingerprint(seen)},
	}
}

// fingerprint is the same for the same finding when lines and items have moved. Those
// that would have the same are numbered.
func (p *problem) fingerprint(seen map[string]int) string {
	text := strings.Join([]string{p.Rule, fileURI(p.File), p.Namespace, p.Kind, p.Name, p.Message}, "\x00")
	seen[text]++
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s\x00%d", text, seen[text])))
	return hex.EncodeToString(sum[:16])
}

// fileURI is a relative reference, from the current folder, as viewers want it that
// know where the repository is; only a path from the root becomes a URI of its own.
func fileURI(file string) string {
	clean := filepath.ToSlash(filepath.Clean(file))
	if filepath.IsAbs(file) {
		return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(clean, "/")}).String()
	}
	return (&url.URL{Path: clean}).String()
}
