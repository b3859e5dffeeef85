package spec

import (
	"fmt"
	"slices"
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

// TestNodesPreferPlatformsInTheOrderOfTheirRuntime repeatedly removes the
// chosen platform, which shows the order of all platforms.
func TestNodesPreferPlatformsInTheOrderOfTheirRuntime(t *testing.T) {
	for platform, order := range map[string][]string{
		"linux/amd64":   {"linux/amd64", "linux/386", "linux/amd64/v2", "linux/amd64/v3"},
		"linux/arm64":   {"linux/arm64", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5", "linux/arm64/v9"},
		"linux/arm":     {"linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5", "linux/arm/v4"},
		"linux/riscv64": {"linux/riscv64", "linux/riscv64/rva22"},
	} {
		left := map[string][]string{"linux/s390x": {"s390x"}, "windows/amd64": {"windows"}, "linux/amd": {"amd"}, "linux/arm6": {"arm6"}}
		for _, name := range order {
			left[name] = []string{name}
		}
		for _, want := range order {
			have, err := Spec{Commands: left}.CommandOn(platform)
			if err != nil || !slices.Equal(have, []string{want}) {
				t.Errorf("%s runs %q, %v, want %s", platform, have, err, want)
			}
			delete(left, want)
		}
		const rest = "commands: the image runs something else on each platform, and none is for %s (has: linux/amd, linux/arm6, linux/s390x, windows/amd64): " +
			"let the pod run on one of these by a nodeSelector, or set command: in the pod"
		if have, err := (Spec{Commands: left}).CommandOn(platform); err == nil || have != nil || err.Error() != fmt.Sprintf(rest, platform) {
			t.Errorf("%s runs %q, %v", platform, have, err)
		}
	}
}

func TestTheOrderOfPlatformsIsNotChangedByASpec(t *testing.T) {
	for range 2 {
		variant := Spec{Commands: map[string][]string{"linux/amd64/v9": {"a"}, "linux/amd64/v8": {"b"}}}
		if have, err := variant.CommandOn("linux/amd64"); err != nil || !slices.Equal(have, []string{"b"}) {
			t.Errorf("have %q, %v, want the first variant", have, err)
		}
	}
	if want := []string{"linux/amd64", "linux/386"}; !slices.Equal(compatible["linux/amd64"], want) {
		t.Errorf("have %q, want %q", compatible["linux/amd64"], want)
	}
}
