package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// replace writes a new file, locks it, and only then renames it to the record's
// name, so that a record cannot be opened before its locks are held. On a full
// volume it uses the space that it has. For a state with a Process, the second
// file is the first one opened again, and holds its waiting lock.
func (r *Record) replace(s State) (f, shut *os.File, err error) {
	data, wait := encode(s), !s.Started
	if f, err = r.unnamed(); err == nil {
		if err = fill(f, data, wait); err == nil && s.Process != nil {
			shut, err = shutGate(f)
		}
		if err == nil {
			err = r.name(f)
		}
		if err == nil {
			return f, shut, nil
		}
		f.Close()
		if shut != nil {
			shut.Close()
		}
	}
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return nil, nil, err
	}
	if r.file != nil {
		return r.overwrite(s, data)
	}
	if f, err = r.reuse(spare, data, wait); err == nil {
		return f, nil, nil
	}
	f, err = r.reuse(name, data, wait) // of an earlier incarnation
	return f, nil, err
}

// overwrite writes a state into the present file. A waiting lock cannot be
// transferred between descriptors, so for a moment it is not held.
func (r *Record) overwrite(s State, data []byte) (f, shut *os.File, err error) {
	if err := overwrite(r.file, data); err != nil {
		return r.file, nil, err
	}
	r.announce()
	if s.Process == nil {
		return r.file, nil, nil
	}
	if err := setLock(r.file, waiting, unix.F_UNLCK); err != nil {
		return nil, nil, err
	}
	shut, err = shutGate(r.file)
	return r.file, shut, err
}

// announce makes the kernel report a change of the record to readers: it reports
// a write to a file that was created without a name under another name.
func (r *Record) announce() {
	fd, err := unix.Open(filepath.Join(r.dir, name), unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd) // reported, because the file was open for writing
	}
}

// shutGate opens a record again and takes its waiting lock. The exec of another
// program closes that file.
func shutGate(f *os.File) (*os.File, error) {
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := setLock(again, waiting, unix.F_WRLCK); err != nil {
		again.Close()
		return nil, err
	}
	return again, nil
}

// unnamed creates a file without a name in the directory (O_TMPFILE), or a
// draft if the file system does not support this.
func (r *Record) unnamed() (*os.File, error) {
	fd, err := unix.Open(r.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return os.OpenFile(filepath.Join(r.dir, draft), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	}
	if err != nil {
		return nil, &os.PathError{Op: "make a file in", Path: r.dir, Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(r.dir, draft)), nil
}

// name gives a file the record's name. It needs two steps, because a rename can
// replace another file, but a link cannot.
func (r *Record) name(f *os.File) error {
	path := filepath.Join(r.dir, draft)
	if info, err := f.Stat(); err == nil && linked(info) {
		return rename(path, filepath.Join(r.dir, name))
	}
	from := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	link := func() error { return unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW) }
	err := link()
	if errors.Is(err, unix.EEXIST) { // left by a wrapper that was killed at this point
		_ = os.Remove(path) // the link reports the reason if it remains
		err = link()
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: from, New: path, Err: err}
	}
	return rename(path, filepath.Join(r.dir, name))
}

// rename renames a file. Unlike os.Rename, it does not look at the target first.
func rename(from, to string) error {
	if err := unix.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// linked reports whether a file has a name.
func linked(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 0
}

// reuse makes the first record of an incarnation on a full volume from an
// existing file.
func (r *Record) reuse(file string, data []byte, wait bool) (*os.File, error) {
	path := filepath.Join(r.dir, file)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the volume is full, and open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	err = lock(f, wait)
	if err == nil {
		err = overwrite(f, data)
	}
	if err == nil && file != name {
		err = os.Rename(path, filepath.Join(r.dir, name))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("the volume is full, and reuse %s: %w", path, err)
	}
	return f, nil
}

// overwrite overwrites a record in the same file. A concurrent reader may see a
// broken record, and then the new one.
func overwrite(f *os.File, data []byte) error {
	if len(data) > room {
		return fmt.Errorf("the volume is full, and the record has more than %d bytes", room)
	}
	padded := append(bytes.Clone(data), bytes.Repeat([]byte(" "), room-len(data))...)
	_, err := f.WriteAt(padded, 0)
	return err
}

// fill writes and locks a record that is not visible yet.
func fill(f *os.File, data []byte, wait bool) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return lock(f, wait)
}

// lock takes the locks of a wrapper.
func lock(f *os.File, wait bool) error {
	if err := setLock(f, alive, unix.F_WRLCK); err != nil {
		return err
	}
	if wait {
		return setLock(f, waiting, unix.F_WRLCK)
	}
	return nil
}

func setLock(f *os.File, at int64, kind int16) error {
	l := unix.Flock_t{Type: kind, Start: at, Len: 1}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l)
}
