package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandOn(t *testing.T) {
	for name, tt := range map[string]struct {
		commands map[string][]string
		platform string
		want     []string
		wrong    string
	}{
		"a spec without commands adds nothing":           {platform: "linux/amd64"},
		"the node's own platform":                        {commands: map[string][]string{"linux/amd64": {"/a"}, "linux/arm64": {"/b"}}, platform: "linux/arm64", want: []string{"/b"}},
		"an image for an older processor that it runs":   {commands: map[string][]string{"linux/386": {"/a"}, "linux/s390x": {"/b"}}, platform: "linux/amd64", want: []string{"/a"}},
		"the newest of several variants":                 {commands: map[string][]string{"linux/arm/v6": {"/a"}, "linux/arm/v7": {"/b"}}, platform: "linux/arm", want: []string{"/b"}},
		"the plain one before a variant of it":           {commands: map[string][]string{"linux/amd64": {"/a"}, "linux/amd64/v3": {"/b"}}, platform: "linux/amd64", want: []string{"/a"}},
		"a variant where there is no plain one":          {commands: map[string][]string{"linux/amd64/v2": {"/a"}, "linux/arm64": {"/b"}}, platform: "linux/amd64", want: []string{"/a"}},
		"a platform that stands in no list":              {commands: map[string][]string{"linux/riscv64": {"/a"}, "linux/arm64": {"/b"}}, platform: "linux/riscv64", want: []string{"/a"}},
		"an image without ENTRYPOINT there":              {commands: map[string][]string{"linux/amd64": {}, "linux/arm64": {"/b"}}, platform: "linux/amd64", want: []string{}},
		"none for the node is told with those there are": {commands: map[string][]string{"linux/s390x": {"/a"}, "linux/arm64": {"/b"}}, platform: "linux/amd64", wrong: "none is for linux/amd64 (has: linux/arm64, linux/s390x)"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Spec{Commands: tt.commands}.CommandOn(tt.platform)
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Fatalf("error %v, want %q", err, tt.wrong)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
