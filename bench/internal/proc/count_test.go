package proc

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSyscallsAreCounted(t *testing.T) {
	s, err := CountSyscalls(os.Getpid())
	if err != nil {
		// Without rights to the trace points there is an error with words, and no figure.
		t.Logf("this machine does not let us count: %v", err)
		return
	}
	defer s.Close()
	before, err := s.Count()
	if err != nil {
		t.Fatal(err)
	}
	const calls = 10_000
	for range calls {
		unix.Getppid()
	}
	after, err := s.Count()
	if err != nil || after-before < calls || after-before > 100*calls {
		t.Errorf("%d calls counted of %d, %v", after-before, calls, err)
	}
	if err := s.Close(); err != nil || len(s.fds) != 0 {
		t.Errorf("close: %v", err)
	}
}

func TestSyscallsOfNobody(t *testing.T) {
	if _, err := CountSyscalls(1 << 22); err == nil {
		t.Error("a process that is not there is counted")
	}
	if _, err := tracePoint([]string{t.TempDir(), "/nonexistent"}); err == nil {
		t.Error("a trace point where there is none")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "events/raw_syscalls/sys_enter"), 0o700); err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{"17\n": true, "x": false} {
		if err := os.WriteFile(filepath.Join(dir, "events/raw_syscalls/sys_enter/id"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if id, err := tracePoint([]string{"/nonexistent", dir}); (err == nil) != good || good && id != 17 {
			t.Errorf("%q: %d, %v", text, id, err)
		}
	}
}

func TestWritten(t *testing.T) {
	const stats = " 254 0 vda 15 3 32 5 156 22 123 10 0 4\n 254 1 vda1 15 3 32 5 156 22 7 10 0 4\n 8 0 sda x\n"
	for _, c := range []struct {
		major, minor uint32
		want         int64
	}{{254, 0, 123 * 512}, {254, 1, 7 * 512}, {8, 0, -1}, {0, 44, -1}} {
		got, err := written([]byte(stats), c.major, c.minor)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%d:%d: %d, %v", c.major, c.minor, got, err)
		}
	}
	if _, err := DeviceWritten("/proc"); err == nil {
		t.Error("/proc has a disk")
	}
	if _, err := DeviceWritten("/nonexistent"); err == nil {
		t.Error("a folder that is not there has a disk")
	}
	if n, err := writeBytes([]byte("rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 3\n")); err != nil || n != 4096 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := writeBytes([]byte("rchar: 1\n")); err == nil {
		t.Error("no line, and no error")
	}
	if n, err := Written(os.Getpid()); err == nil && n < 0 {
		t.Errorf("this process has written %d bytes", n)
	}
}
