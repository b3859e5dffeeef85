package inject

import (
	"strings"

	"gomodules.xyz/jsonpatch/v2"
)

// patch is a list of explicit operations. Nothing is ever compared with a
// typed copy of the pod, so what our types do not know stays where it is.
type patch []jsonpatch.Operation

// pointerEscapes are those of RFC 6901.
var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func pointer(parts []string) string {
	var b strings.Builder
	b.Grow(64) // most are shorter
	for _, part := range parts {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(part))
	}
	return b.String()
}

// set writes a member of an object that is there, whether or not the member
// is.
func (p *patch) set(value any, path ...string) {
	if *p == nil {
		*p = make(patch, 0, 32) // few are longer
	}
	*p = append(*p, jsonpatch.NewOperation("add", pointer(path), value))
}

func (p *patch) remove(path ...string) {
	*p = append(*p, jsonpatch.NewOperation("remove", pointer(path), nil))
}

// push appends values to the array at path, which has so many elements and may
// be missing when it has none.
func push[T any](p *patch, have int, values []T, path ...string) {
	if len(values) == 0 {
		return
	}
	if have == 0 {
		p.set(values, path...)
		return
	}
	for _, v := range values {
		p.set(v, append(path, "-")...)
	}
}

// put writes an entry of the string map at path, which may be missing when it
// has no entries, and nothing when the entry is there.
func (p *patch) put(have map[string]string, key, value string, path ...string) {
	switch old, found := have[key]; {
	case found && old == value:
	case len(have) == 0:
		p.set(map[string]string{key: value}, path...)
	default:
		p.set(value, append(path, key)...)
	}
}
