package compat

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// OwnContainer returns the name of the container that a process runs in, based
// on its mounts (/proc/self/mountinfo, proc_pid_mountinfo(5)): the kubelet
// mounts the termination message from a file of the node,
// …/pods/UID/containers/NAME/ID. ok is false if there is no such mount, for
// example in a virtual machine, or if there are several.
//
// A container has no other way to find its name. proa takes the pod's first
// one.
func OwnContainer(mountinfo io.Reader) (name string, ok bool) {
	var names []string
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if n := containerOf(fields[3]); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) != 1 || lines.Err() != nil {
		return "", false
	}
	return names[0], true
}

// containerOf returns NAME for a path that ends in
// /pods/UID/containers/NAME/ID, where ID has eight hexadecimal digits;
// otherwise "".
func containerOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) < 6 {
		return ""
	}
	parts = parts[len(parts)-5:]
	id := parts[4]
	if parts[0] != "pods" || parts[2] != "containers" || len(id) != 8 || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	if name := parts[3]; name != "" && spec.IsName(name) {
		return name
	}
	return ""
}
