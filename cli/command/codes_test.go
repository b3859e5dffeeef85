package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"koordinator.io/koordinator/webhook/messages"
)

// TestEveryCodeOfTheToolHasAStory requires a story for each of the tool's message codes, as
// the webhook's codes each have an example.
func TestEveryCodeOfTheToolHasAStory(t *testing.T) {
	stories, err := filepath.Glob("testdata/lint*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, path := range stories {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(data)
	}
	for _, group := range messages.Table() {
		for _, e := range group.Entries {
			if group.Tool && !strings.Contains(text.String(), string(e.Code)) {
				t.Errorf("no story of lint reports %s", e.Code)
			}
		}
	}
}
