package process

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// FreeProgram gives back the memory of this process's own program. It is the
// page cache's, so that it costs nothing to have again: what waiting takes
// comes back within microseconds, and what only the start took does not.
// Nothing is lost where it cannot be done.
func FreeProgram() {
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for _, m := range programMappings(smaps, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// programMappings are those of a file that are exactly what the file says: not
// writable, and no page of them was ever changed (proc_pid_smaps(5)).
func programMappings(smaps []byte, program string) []mapping {
	var found []mapping
	open := false // the lines are about a mapping that may be among them
	var m mapping
	for line := range bytes.Lines(smaps) {
		fields := bytes.Fields(line)
		if first, last, header := bytes.Cut(fields[0], []byte("-")); header {
			from, err1 := strconv.ParseUint(string(first), 16, 64)
			to, err2 := strconv.ParseUint(string(last), 16, 64)
			ours := len(fields) > 5 && string(bytes.Join(fields[5:], []byte(" "))) == program
			open = ours && fields[1][1] == '-' && err1 == nil && err2 == nil
			m = mapping{uintptr(from), uintptr(to)}
			continue
		}
		if open && string(fields[0]) == "Anonymous:" && string(fields[1]) == "0" {
			found = append(found, m)
		}
	}
	return found
}
