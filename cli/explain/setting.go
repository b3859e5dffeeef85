package explain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"k8s.io/cli-runtime/pkg/printers"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// Setting is an effective setting of a container.
type Setting struct {
	Name  string `json:"name"` // name of its annotation
	Value string `json:"value"`
	From  string `json:"from"` // the source of the value: the annotation or label, "default", or another source
}

// Container is a container with its settings.
type Container struct {
	Pod      string    `json:"pod"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Wrapped  bool      `json:"wrapped"`
	Settings []Setting `json:"settings,omitempty"` // only for a wrapped container
	Notes    []string  `json:"notes,omitempty"`    // consequences of the settings of other containers
}

// Describe lists the settings of a container. title is the name of its pod.
func Describe(title string, asked inject.Asked, c order.Container) (Container, error) {
	d := Container{Pod: title, Name: c.Name, Role: string(c.Role), Wrapped: c.Wrapped}
	if !c.Wrapped {
		d.Notes = []string{"It is not wrapped: no annotation is about it, and nothing depends on it. It runs as if koordinator were not there."}
		return d, nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(c.Spec.Encode()), &values); err != nil {
		return d, err
	}
	for _, a := range table {
		field, isSetting := annotations.Field(a.name)
		if !isSetting {
			continue
		}
		value, given := values[field]
		s := Setting{Name: a.name, Value: cmp.Or(written(value), a.initial), From: "default"}
		switch field { // values that the JSON of a spec omits
		case "mode":
			s.Value = string(c.Spec.Mode)
		case "source":
			s.Value = string(c.Spec.Source)
		case "stopSignal":
			s.Value = spec.SignalName(cmp.Or(c.Spec.StopSignal, c.Spec.RequestSignal, syscall.SIGTERM))
		}
		place := cmp.Or(asked.Wishes[c.Name].Places[field], asked.Rest.Places[field])
		switch {
		case !place.None():
			s.From = place.Name()
		case field == "mode":
			s.From = "chosen"
		case field == "stopSignal" && c.Spec.RequestSignal != 0:
			s.From = "the container or its image"
		case given && field == "startDeps": // the container is selected by "*"
			s.From = inject.Prefix + a.name
		case given && field == "stopDeps":
			s.From = essential(asked, c.Name)
		}
		d.Settings = append(d.Settings, s)
	}
	d.Notes = notes(c)
	return d, nil
}

// essential returns the annotation or label that gives a container stop dependencies that
// its own settings lack.
func essential(asked inject.Asked, container string) string {
	var names []string
	for _, e := range asked.Essential {
		if e.Container != container { // a container does not stop itself
			names = append(names, e.Place.Name())
		}
	}
	if len(names) == 0 {
		return inject.Prefix + "stop-deps"
	}
	return strings.Join(slices.Compact(names), ", ")
}

// notes returns the consequences for a container of the settings of other containers.
func notes(c order.Container) []string {
	var all []string
	if len(c.Spec.HoldFor) > 0 {
		all = append(all, "When the pod is deleted, its stop signal is held until these containers have exited: "+strings.Join(c.Spec.HoldFor, ", "))
	}
	for _, d := range c.Spec.Delegated {
		all = append(all, "It sends the stop request of "+d.Container+", which is not wrapped")
	}
	return all
}

// written returns a spec value in the notation of the annotations.
func written(raw json.RawMessage) string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, ", ")
	}
	return strings.Trim(string(raw), `"`)
}

// Print writes the settings of a container as a table.
func (d Container) Print(to io.Writer) error {
	state := "wrapped"
	if !d.Wrapped {
		state = "not wrapped"
	}
	fmt.Fprintf(to, "%s, %s %q: %s\n", d.Pod, d.Role, d.Name, state)
	w := printers.GetNewTabWriter(to)
	if len(d.Settings) > 0 {
		fmt.Fprintln(w, "SETTING\tVALUE\tFROM")
	}
	for _, s := range d.Settings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, s.From)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, n := range d.Notes {
		fmt.Fprintln(to, n)
	}
	return nil
}
