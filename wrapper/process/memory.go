package process

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// worthCollecting is the size of a heap from which a collection frees more memory
// than the collector itself needs, in bytes.
const worthCollecting = 1 << 20

// FreeMemory releases unused memory of the heap, and the memory of this
// process's own program. The latter belongs to the page cache, so it is cheap to
// load again: the part that is needed while waiting returns within microseconds,
// and the part that only the start needed stays released. If this is not
// possible, nothing is lost.
func FreeMemory() {
	var m runtime.MemStats
	if runtime.ReadMemStats(&m); m.HeapAlloc > worthCollecting {
		debug.FreeOSMemory()
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
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

// programMappings returns the mappings of a file that are identical to its
// content: they are not writable, and none of their pages was ever changed
// (proc_pid_smaps(5)). It needs little memory itself.
func programMappings(smaps io.Reader, program string) []mapping {
	var found []mapping
	var m mapping
	open := false // the present lines describe a mapping that may qualify
	lines := bufio.NewReaderSize(smaps, 1024)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return found // the end, or a line too long to belong to the program
		}
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
		case line[0] >= '0' && line[0] <= '9' || line[0] >= 'a' && line[0] <= 'f':
			m, open = header(line, program)
		case open && bytes.HasPrefix(line, []byte("Anonymous:")) && bytes.HasSuffix(line, []byte(" 0 kB")):
			found = append(found, m)
		}
	}
}

// header parses the first line of a mapping, for example "00400000-00500000
// r-xp 00000000 00:21 123 /koordinator/bin/koordinator".
func header(line []byte, program string) (m mapping, ours bool) {
	if !bytes.HasSuffix(line, []byte(" "+program)) {
		return m, false
	}
	addresses, rest, _ := bytes.Cut(line, []byte(" "))
	first, last, _ := bytes.Cut(addresses, []byte("-"))
	from, err1 := strconv.ParseUint(string(first), 16, 64)
	to, err2 := strconv.ParseUint(string(last), 16, 64)
	writable := len(rest) < 2 || rest[1] != '-'
	return mapping{uintptr(from), uintptr(to)}, err1 == nil && err2 == nil && !writable
}
