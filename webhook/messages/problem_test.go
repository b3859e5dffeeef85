package messages

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestNotesAreMadeOnce(t *testing.T) {
	var n Notes
	for range 3 {
		n.Refuse(Pod("a"), "KO1", "v", "it is wrong", "Mend it")
		n.Warn(Pod("a"), "KO2", "v", "it is odd", "")
	}
	n.Refuse(Pod("b"), "KO1", "v", "it is wrong", "Mend it")
	n.Warn(Pod("b"), "KO2", "v", "it is odd", "")
	if len(n.Problems) != 2 || n.Problems[1].String() != "b: it is wrong. Mend it [KO1]" || n.Problems[1].Warning {
		t.Errorf("problems: %+v", n.Problems)
	}
	if len(n.Warnings) != 2 || n.Warnings[1].String() != "b: it is odd [KO2]" || !n.Warnings[1].Warning {
		t.Errorf("warnings: %+v", n.Warnings)
	}
}

func TestNotesAreBounded(t *testing.T) {
	var n Notes
	for i := range 2 * most {
		if want := i >= most; n.Full() != want || n.FullOfWarnings() != want {
			t.Fatalf("with %d notes: full %t, of warnings %t, want %t", i, n.Full(), n.FullOfWarnings(), want)
		}
		n.Refuse(Pod("a"), "KO1", "", fmt.Sprint(i), "")
		n.Warn(Pod("a"), "KO2", "", fmt.Sprint(i), "")
	}
	if len(n.Problems) != most || len(n.Warnings) != most {
		t.Errorf("%d problems and %d warnings, want %d", len(n.Problems), len(n.Warnings), most)
	}
}

func TestPlacesAreTheAPIsPaths(t *testing.T) {
	template := field.NewPath("spec", "template")
	long := strings.Repeat("x", 2*longestKey)
	for _, tt := range []struct {
		place Place
		root  *field.Path
		want  string
	}{
		{Annotation("koordinator.io/stop-delay"), nil, "metadata.annotations[koordinator.io/stop-delay]"},
		{Annotation("koordinator.io/start-deps").Of("main"), template, "spec.template.metadata.annotations[koordinator.io/start-deps][main]"},
		{Annotation("koordinator.io/spec").Of("main").Field("stopDelay"), nil, "metadata.annotations[koordinator.io/spec][main].stopDelay"},
		{Label("essential-containers"), nil, "metadata.labels[essential-containers]"},
		{Volume("v"), template, "spec.template.spec.volumes[v]"},
		{Pod("spec.containers"), template, "spec.template.spec.containers"},
		{InitContainer(0, "first"), nil, "spec.initContainers[first]"},
		{Container(2, "main").Field("lifecycle.preStop"), nil, "spec.containers[main].lifecycle.preStop"},
		{Container(2, "main").Field("env").Item("X"), template, "spec.template.spec.containers[main].env[X]"},
		{Container(2, "").Field("name"), nil, "spec.containers[2].name"},
		{Container(0, long), nil, "spec.containers[" + long[:longestKey] + "…]"},
	} {
		if have := tt.place.Path(tt.root).String(); have != tt.want {
			t.Errorf("%s, want %s", have, tt.want)
		}
	}
}

func TestLongSentencesLoseTheirEndAndKeepTheCode(t *testing.T) {
	p := Problem{Code: "KO1", Path: field.NewPath("a"), Sentence: strings.Repeat("x", 2000), Remedy: "Mend it"}
	if want := "a: " + strings.Repeat("x", 1000) + "… [KO1]"; p.String() != want {
		t.Errorf("%s", p)
	}
}

func TestLongMessagesAreShortened(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a short one", "x", "x"},
		{"the longest", strings.Repeat("x", 1000), strings.Repeat("x", 1000)},
		{"a longer one", strings.Repeat("x", 1001), strings.Repeat("x", 1000) + "…"},
		{"a letter of two bytes at the end", strings.Repeat("x", 999) + "ää", strings.Repeat("x", 999) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have := Shorten(tt.text); have != tt.want {
				t.Errorf("%q", have)
			}
		})
	}
}
