package messages

import "slices"

// Entry explains a code.
type Entry struct {
	Code  Code
	Title string // what is wrong, in a few words
	Means string // why it is wrong, or the consequences
	Mend  string // what to do about it
}

// Group is a subject with its codes.
type Group struct {
	Title   string
	Entries []Entry
	Tool    bool // whether only the command-line tool reports them
}

// Table returns every code, by subject.
func Table() []Group {
	return []Group{
		{Title: "Annotations and their values", Entries: valueEntries},
		{Title: "Dependencies and order", Entries: orderEntries},
		{Title: "Settings of a container", Entries: settingEntries},
		{Title: "Commands and images", Entries: imageEntries},
		{Title: "Reserved names and platforms", Entries: reservedEntries},
		{Title: "Policies of the installation", Entries: policyEntries},
		{Title: "Only reported by kubectl koordinator lint", Entries: lintEntries, Tool: true},
	}
}

// Explain returns the entry of a code. found is false for an unknown code.
func Explain(code Code) (entry Entry, found bool) {
	for _, group := range Table() {
		i := slices.IndexFunc(group.Entries, func(e Entry) bool { return e.Code == code })
		if i >= 0 {
			return group.Entries[i], true
		}
	}
	return Entry{}, false
}
