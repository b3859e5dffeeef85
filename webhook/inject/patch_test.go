package inject

import (
	"encoding/json"
	"testing"
)

func TestPatchOperations(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(p *patch)
		want  string
	}{
		{"a member with a slash and a tilde", func(p *patch) { p.set("v", "metadata", "a/b~c") }, `[{"op":"add","path":"/metadata/a~1b~0c","value":"v"}]`},
		{"a removal", func(p *patch) { p.remove("a") }, `[{"op":"remove","path":"/a"}]`},
		{"nothing to append", func(p *patch) { push(p, 0, []int{}, "a") }, `null`},
		{"an array that may be missing", func(p *patch) { push(p, 0, []int{1, 2}, "a") }, `[{"op":"add","path":"/a","value":[1,2]}]`},
		{"an array that is there", func(p *patch) { push(p, 3, []int{1, 2}, "a") }, `[{"op":"add","path":"/a/-","value":1},{"op":"add","path":"/a/-","value":2}]`},
		{"a map that may be missing", func(p *patch) { p.put(nil, "k", "v", "a") }, `[{"op":"add","path":"/a","value":{"k":"v"}}]`},
		{"a map that is there", func(p *patch) { p.put(map[string]string{"x": ""}, "k/", "v", "a") }, `[{"op":"add","path":"/a/k~1","value":"v"}]`},
		{"an entry that is there", func(p *patch) { p.put(map[string]string{"k": "v"}, "k", "v", "a") }, `null`},
		{"an entry that is different", func(p *patch) { p.put(map[string]string{"k": "w"}, "k", "v", "a") }, `[{"op":"add","path":"/a/k","value":"v"}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p patch
			tt.write(&p)
			have, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if string(have) != tt.want {
				t.Errorf("have %s\nwant %s", have, tt.want)
			}
		})
	}
}
