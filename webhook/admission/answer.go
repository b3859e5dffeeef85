package admission

import (
	"bytes"
	"encoding/json"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// allowed is the answer that lets a pod in, changed by the patch if it has any
// operation. The patch is written out here: controller-runtime would write each
// operation by itself, then all of them, and that is most of an answer's cost.
func allowed(patch []jsonpatch.Operation, warnings []string) admission.Response {
	resp := admission.Allowed("").WithWarnings(warnings...)
	if len(patch) > 0 {
		resp.Patch = encodePatch(patch)
		resp.PatchType = new(admissionv1.PatchTypeJSONPatch)
	}
	return resp
}

// encodePatch writes a patch as JSON (RFC 6902).
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
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(list); err != nil {
		panic("encode a patch: " + err.Error()) // cannot happen: of strings, numbers and types of the API
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
