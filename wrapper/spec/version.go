package spec

import (
	"encoding/json"
	"fmt"
)

// Version is the newest spec version that this build reads. It also reads all
// earlier versions, and specs without a version, which are written by hand.
const Version = 2

// firstVersion is the version of a spec without any field of a later version.
const firstVersion = 1

// version returns the version that Encode writes: the oldest one that has every
// field in use. A wrapper of an earlier release therefore accepts every spec
// that it understands, and rejects the others with one clear error.
func (s Spec) version() int {
	if needsVersion2(s) {
		return 2
	}
	return firstVersion
}

// needsVersion2 reports whether s uses a field that version 1 does not have.
func needsVersion2(s Spec) bool {
	return len(s.StartEndpoints) > 0 || len(s.ReadyEndpoints) > 0 || len(s.Delegated) > 0 ||
		len(s.EnvFiles)+len(s.RestartWith) > 0 || s.ReadyWhen == ReadyByNotice
}

// checkVersion returns an error if the members of a spec include a version that
// this build does not read, because it cannot interpret the other members of
// such a spec.
func checkVersion(members []member) error {
	for _, m := range members {
		if m.key != "version" {
			continue
		}
		if err := parseVersion(m.value); err != nil {
			return err
		}
	}
	return nil
}

func parseVersion(v json.RawMessage) error {
	s, err := scalar(v)
	if err != nil {
		return err
	}
	for known := firstVersion; known <= Version; known++ {
		if s == fmt.Sprint(known) {
			return nil
		}
	}
	return wrong(UnknownVersion, s, "Use a webhook and a wrapper image of the same release", "this koordinator reads spec versions %d to %d, not %s", firstVersion, Version, s)
}
