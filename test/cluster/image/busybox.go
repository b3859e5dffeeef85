package image

import (
	"archive/tar"
	"fmt"
	"os"
	"os/exec"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// BusyboxReference is the image that the samples use. Other clusters pull it; this cluster
// has a substitute made from Debian's busybox.
const BusyboxReference = "docker.io/library/busybox:1.37"

// WriteBusybox writes an archive of the substitute to path. program is the path of a static
// busybox on this machine.
func WriteBusybox(path, program string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	applets, err := exec.Command(program, "--list").Output()
	if err != nil {
		return fmt.Errorf("list the applets of %s: %w", program, err)
	}
	files := []file{
		{Name: "bin/", Mode: 0o755, Type: tar.TypeDir},
		{Name: "etc/", Mode: 0o755, Type: tar.TypeDir},
		{Name: "home/", Mode: 0o755, Type: tar.TypeDir},
		{Name: "root/", Mode: 0o700, Type: tar.TypeDir},
		{Name: "tmp/", Mode: 0o1777, Type: tar.TypeDir},
		{Name: "var/", Mode: 0o755, Type: tar.TypeDir},
		{Name: "var/tmp/", Mode: 0o1777, Type: tar.TypeDir},
		{Name: "etc/passwd", Mode: 0o644, body: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n")},
		{Name: "etc/group", Mode: 0o644, body: []byte("root:x:0:\nnogroup:x:65534:\n")},
		{Name: "bin/busybox", Mode: 0o755, body: binary},
	}
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			files = append(files, file{Name: "bin/" + applet, Mode: 0o777, Type: tar.TypeSymlink, Link: "busybox"})
		}
	}
	return write(path, BusyboxReference, files, v1.Config{
		Cmd: []string{"sh"},
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	})
}
