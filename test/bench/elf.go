package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// exits holds the machine instructions of a program that exits with code 0.
var exits = map[string][]byte{
	"amd64": {
		0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
		0x31, 0xff, // xor edi, edi
		0x0f, 0x05, // syscall
	},
	"arm64": {
		0xa8, 0x0b, 0x80, 0xd2, // mov x8, 93 (exit)
		0x00, 0x00, 0x80, 0xd2, // mov x0, 0
		0x01, 0x00, 0x00, 0xd4, // svc 0
	},
}

// machines maps architectures to machine numbers in ELF (elf(5), e_machine).
var machines = map[string]uint16{"amd64": 62, "arm64": 183}

// The load address of the program, and the length of the two headers before its code.
const (
	base    = 0x400000
	headers = 64 + 56
)

// smallest writes the smallest possible program: an ELF file of one segment that exits. It
// loads no library and starts no runtime, so the kernel accounts for all the time that it
// takes.
func smallest(dir string) (string, error) {
	code, known := exits[runtime.GOARCH]
	if !known {
		return "", fmt.Errorf("no program for %s", runtime.GOARCH)
	}
	size := uint64(headers + len(code))
	b := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0} // 64 bits, little-endian
	for _, field := range []any{
		uint16(2), machines[runtime.GOARCH], uint32(1), // executable, processor, version
		uint64(base + headers), uint64(64), uint64(0), uint32(0), // entry, program headers, no sections, flags
		uint16(64), uint16(56), uint16(1), uint16(64), uint16(0), uint16(0), // the headers' sizes and numbers
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x1000), // one segment, readable and executable
	} {
		b, _ = binary.Append(b, binary.LittleEndian, field) // no error: the fields have a fixed size
	}
	path := filepath.Join(dir, "smallest")
	return path, os.WriteFile(path, append(b, code...), 0o755)
}

// emptyGo builds a Go program that does nothing. Its start time is the minimum for Go programs.
func emptyGo(dir string) (string, error) {
	source := filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "empty")
	return path, command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, source)
}
