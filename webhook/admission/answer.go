package admission

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/messages"
)

// allowed returns the answer that accepts a pod and applies the patch, if it has
// any operations. The patch is encoded here because controller-runtime would
// encode each operation separately and then all of them again, which is most of
// the cost of an answer.
func allowed(patch []jsonpatch.Operation, warnings []messages.Problem) admission.Response {
	resp := withWarnings(admission.Allowed(""), messages.Strings(warnings))
	if len(patch) > 0 {
		resp.Patch = encodePatch(patch)
		resp.PatchType = new(admissionv1.PatchTypeJSONPatch)
	}
	return resp
}

// withWarnings returns an answer with warnings. Every warning of the package passes
// through this function: the API server drops a warning with a control character
// or with invalid UTF-8, and a user's value can contain both. A space replaces
// each of them.
func withWarnings(resp admission.Response, warnings []string) admission.Response {
	for i, w := range warnings {
		warnings[i] = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == utf8.RuneError {
				return ' '
			}
			return r
		}, w)
	}
	return resp.WithWarnings(warnings...)
}

// buffers are reused to encode patches; a pod's patch has a few KiB.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// encodePatch encodes a patch as JSON (RFC 6902).
func encodePatch(patch []jsonpatch.Operation) []byte {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	list := make([]operation, len(patch))
	for i, o := range patch {
		list[i] = operation{o.Operation, o.Path, o.Value}
	}
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(list); err != nil {
		panic("encode a patch: " + err.Error()) // cannot happen: the values are strings, numbers and API types
	}
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
