package main

import (
	"strings"
	"testing"
)

const described = `{
  "type": "object",
  "properties": {
    "part": {
      "description": "A part.",
      "properties": {
        "size": {
          "description": "How large <it> is.",
          "type": [
            "integer",
            "null"
          ],
          "minimum": 1.5,
          "items": {}
        }
      }
    }
  }
}
`

func TestDescribe(t *testing.T) {
	values := "# About the file.\n\n# A part.\npart:\n  # -- How large\n  # <it> is.\n  size: 2\n"
	bare := strings.ReplaceAll(strings.Replace(described, `"description": "A part.",`, "", 1), `"description": "How large <it> is.",`, `"description": "as it was",`)
	for name, schema := range map[string]string{"without descriptions": bare, "twice": described} {
		t.Run(name, func(t *testing.T) {
			have, err := describe([]byte(values), []byte(schema))
			if err != nil || string(have) != described {
				t.Errorf("%v\n%s", err, have)
			}
		})
	}
	if _, err := describe([]byte(values+"more: 1\n"), []byte(bare)); err == nil || !strings.Contains(err.Error(), "values.yaml has more, the schema does not") {
		t.Errorf("a value without a schema: %v", err)
	}
}
