package document

import (
	"errors"
	"io"

	"koordinator.io/koordinator/cli/input"
)

// Objects reads the objects of all manifests that the options select, in the order of the
// text. It reads stdin for the file "-". The error lists everything that could not be read;
// Objects still returns the other objects.
func Objects(o input.Options, stdin io.Reader) ([]Element, error) {
	texts, err := Read(o, stdin)
	problems := []error{err}
	var all []Element
	for _, text := range texts {
		documents, bad := Parse(text.Source, text.Text)
		problems = append(problems, bad...)
		for i := range documents {
			more, err := documents[i].Elements(o.Templates)
			all = append(all, more...)
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return all, err
	}
	if len(all) == 0 {
		return nil, errors.New("the manifests have no object")
	}
	return all, nil
}
