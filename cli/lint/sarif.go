package lint

import (
	"maps"
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// sarifLog is a report in SARIF 2.1.0, with only the fields that are used here:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID string `json:"id"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     Level           `json:"level"` // SARIF uses the same words
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   sarifRegion   `json:"region"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	Line   int `json:"startLine"`
	Column int `json:"startColumn"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
}

// sarif returns the report as a log of one run.
func (r Report) sarif() sarifLog {
	codes := map[string]bool{}
	run := sarifRun{Results: []sarifResult{}}
	for _, f := range r.Findings {
		codes[string(f.Code)] = true
		run.Results = append(run.Results, sarifResult{
			RuleID: string(f.Code), Level: f.Level, Message: sarifText{f.text()},
			Locations: []sarifLocation{{
				Physical: sarifPhysical{sarifArtifact{f.File}, sarifRegion{f.Line, f.Column}},
				Logical:  []sarifLogical{{f.Object + " " + f.Path}},
			}},
		})
	}
	run.Tool.Driver = sarifDriver{Name: "kubectl-koordinator", Version: spec.Release, Rules: []sarifRule{}}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{code})
	}
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}
