package inject

import (
	"strings"

	"gomodules.xyz/jsonpatch/v2"
)

// patch is a list of explicit operations. The pod is never compared with a typed
// copy, so fields that the API types do not know stay unchanged.
type patch []jsonpatch.Operation

// pointerEscapes are the escape sequences of RFC 6901.
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

// set writes a member of an existing object, whether or not the member exists.
func (p *patch) set(value any, path ...string) { p.add(pointer(path), value) }

// add appends an operation that writes a value.
func (p *patch) add(at string, value any) {
	if *p == nil {
		*p = make(patch, 0, 32) // few are longer
	}
	*p = append(*p, jsonpatch.NewOperation("add", at, value))
}

func (p *patch) remove(path ...string) {
	*p = append(*p, jsonpatch.NewOperation("remove", pointer(path), nil))
}

// push appends values to the array at path. have is the array's length; the array
// may be missing if it is 0.
func push[T any](p *patch, have int, values []T, path ...string) {
	if len(values) == 0 {
		return
	}
	if have == 0 {
		p.set(values, path...)
		return
	}
	end := pointer(append(path, "-"))
	for _, v := range values {
		p.add(end, v)
	}
}

// put writes an entry of the string map at path, which may be missing if it has
// no entries. It writes nothing if the entry already has this value.
func (p *patch) put(have map[string]string, key, value string, path ...string) {
	switch old, found := have[key]; {
	case found && old == value:
	case len(have) == 0:
		p.set(map[string]string{key: value}, path...)
	default:
		p.set(value, append(path, key)...)
	}
}
