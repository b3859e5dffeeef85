package process

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
)

// head describes how the kernel would run a file, according to its beginning.
// It is zero for a file that cannot be read.
type head struct {
	empty       bool
	script      bool   // starts with #!
	elf         bool   // a binary
	arch        string // a binary's architecture in Go's spelling, if known
	interpreter string // a script's, or the loader of a dynamically linked binary
}

// headSize is how much of a file is read. Linkers put the loader's name into
// the first kilobyte.
const headSize = 4096

// elfMagic is the beginning of a binary, and elf64 the length of a 64-bit
// header.
const (
	elfMagic = "\x7fELF"
	elf64    = 64
)

// readHead reads the head of a file that did not start, to explain the failure.
func readHead(path string) head {
	f, err := os.Open(path)
	if err != nil {
		return head{}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, headSize))
	if err != nil {
		return head{}
	}
	if line, ok := bytes.CutPrefix(data, []byte("#!")); ok {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		return head{script: true, interpreter: firstWord(line)}
	}
	if bytes.HasPrefix(data, []byte(elfMagic)) {
		return head{elf: true, arch: elfArch(data), interpreter: elfLoader(data)}
	}
	return head{empty: len(data) == 0}
}

// firstWord returns the interpreter in a #! line. Like the kernel, it separates
// words only at spaces and tabs, so that a carriage return remains.
func firstWord(line []byte) string {
	line = bytes.TrimLeft(line, " \t")
	if end := bytes.IndexAny(line, " \t"); end >= 0 {
		line = line[:end]
	}
	return string(line)
}

// elfArch returns the architecture of a little-endian binary, or "" for other
// or unknown ones (elf(5), e_machine).
func elfArch(data []byte) string {
	if len(data) < elf64 || data[5] != 1 {
		return ""
	}
	switch binary.LittleEndian.Uint16(data[18:]) {
	case 3:
		return "386"
	case 21:
		return "ppc64le"
	case 40:
		return "arm"
	case 62:
		return "amd64"
	case 183:
		return "arm64"
	case 243:
		return "riscv64"
	case 258:
		return "loong64"
	}
	return ""
}

// elfLoader returns the loader that a 64-bit little-endian binary requires, or
// "" if it requires none or data does not contain its name (elf(5), PT_INTERP).
func elfLoader(data []byte) string {
	const interp, entry = 3, 56 // PT_INTERP, size of a program header
	if len(data) < elf64 || data[4] != 2 || data[5] != 1 {
		return ""
	}
	le := binary.LittleEndian
	first, count := le.Uint64(data[32:]), uint64(le.Uint16(data[56:]))
	for i := range count {
		at := first + i*entry
		if at > uint64(len(data)) || uint64(len(data))-at < entry {
			return ""
		}
		if le.Uint32(data[at:]) != interp {
			continue
		}
		offset, size := le.Uint64(data[at+8:]), le.Uint64(data[at+32:])
		if offset > uint64(len(data)) || uint64(len(data))-offset < size {
			return ""
		}
		return string(bytes.TrimRight(data[offset:offset+size], "\x00"))
	}
	return ""
}
