package spec

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// EnvFile is a file with variables for the command.
type EnvFile struct {
	Path     string // absolute
	Optional bool   // it may be missing
}

// String returns the file as a user writes it: "/vault/secrets/env?".
func (f EnvFile) String() string {
	if f.Optional {
		return f.Path + "?"
	}
	return f.Path
}

// parseEnvFiles parses "/a, /b?", or a list of such paths and of objects {path,
// optional}.
func parseEnvFiles(v json.RawMessage, to *[]EnvFile) error {
	v = bytes.TrimSpace(v)
	var errs Problems
	add := func(f EnvFile, err error) {
		if err != nil {
			errs = append(errs, problemsOf(err)...)
			return
		}
		*to = append(*to, f)
	}
	if len(v) == 0 || v[0] != '[' {
		text, err := scalar(v)
		if err != nil {
			return wrong(WrongForm, "", "Write a path, several with commas between them, or a list", "%.40s is not a list of files", v)
		}
		for part := range strings.SplitSeq(text, ",") {
			add(parseEnvFile(part))
		}
		return join(errs)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(v, &items); err != nil {
		return err
	}
	for _, item := range items {
		add(parseEnvFileItem(item))
	}
	return join(errs)
}

func parseEnvFileItem(v json.RawMessage) (EnvFile, error) {
	if v = bytes.TrimSpace(v); len(v) == 0 || v[0] != '{' {
		text, err := scalar(v)
		if err != nil {
			return EnvFile{}, err
		}
		return parseEnvFile(text)
	}
	var item struct {
		Path     string `json:"path"`
		Optional string `json:"optional"`
	}
	if err := strict(v, &item); err != nil {
		return EnvFile{}, err
	}
	f, err := parseEnvFile(item.Path)
	if err != nil || item.Optional == "" {
		return f, err
	}
	if f.Optional, err = strconv.ParseBool(item.Optional); err != nil {
		return f, wrong(UnknownWord, item.Optional, "Use true or false", "optional: %q is not a valid value", item.Optional)
	}
	return f, nil
}

// parseEnvFile parses a path, which a ? follows if the file is optional.
func parseEnvFile(text string) (EnvFile, error) {
	text = strings.TrimSpace(text)
	path, optional := strings.CutSuffix(text, "?")
	path = strings.TrimSpace(path)
	switch {
	case path == "":
		return EnvFile{}, wrong(InvalidPath, "", "Remove it, or write an absolute path, for example /vault/secrets/env", "the path of a file is empty")
	case !strings.HasPrefix(path, "/"):
		return EnvFile{}, wrong(InvalidPath, path, "Begin it with /", "%q is not an absolute path", path)
	case strings.HasSuffix(path, "/"), strings.HasSuffix(path, "?"), strings.ContainsRune(path, 0):
		return EnvFile{}, wrong(InvalidPath, path, "Write the path of a file", "%q is not the path of a file", path)
	}
	return EnvFile{path, optional}, nil
}

// checkEnvFiles finds files that are listed twice.
func (p *parser) checkEnvFiles() {
	seen := map[string]bool{}
	for _, f := range p.spec.EnvFiles {
		if seen[f.Path] {
			p.add("envFiles", DuplicateKey, f.Path, "Keep one", "%q is listed twice", f.Path)
		}
		seen[f.Path] = true
	}
}
