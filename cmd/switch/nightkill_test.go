package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tongka/clearing/day"
	"tongka/journal"
)

// killStep is how many changes of files lie between two deaths; 0 has them further and
// further apart.
var killStep = flag.Int("night.kill-step", 0, "TestNightKilledAnywhere kills behind every n-th change of a file; 0: ever further apart")

// dies starts a command and kills it behind the nth change of a file below a folder;
// false when it came to its end, which has to be a good one unless refused is among
// what it says.
func dies(t *testing.T, dir string, n int, refused string, args ...string) bool {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	in := os.NewFile(uintptr(fd), "inotify")
	watched := map[int32]string{}
	watch := func(top string) {
		_ = filepath.WalkDir(top, func(p string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return nil // gone already
			}
			if wd, err := unix.InotifyAddWatch(fd, p, unix.IN_CREATE|unix.IN_MODIFY|unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_CLOSE_WRITE); err == nil {
				watched[int32(wd)] = p
			}
			return nil
		})
	}
	watch(dir)
	c := process(t, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 64<<10)
		for {
			size, err := in.Read(b)
			if err != nil {
				return // closed: the command is over
			}
			for at := 0; at+unix.SizeofInotifyEvent <= size; {
				wd, mask := int32(binary.NativeEndian.Uint32(b[at:])), binary.NativeEndian.Uint32(b[at+4:])
				length := int(binary.NativeEndian.Uint32(b[at+12:]))
				name := string(bytes.TrimRight(b[at+unix.SizeofInotifyEvent:at+unix.SizeofInotifyEvent+length], "\x00"))
				at += unix.SizeofInotifyEvent + length
				if mask&unix.IN_ISDIR != 0 && mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 {
					watch(filepath.Join(watched[wd], name))
				}
				if n--; n == 0 {
					_ = c.Process.Kill()
				}
			}
		}
	}()
	err = c.Wait()
	_ = in.Close()
	<-done
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil && (refused == "" || !strings.Contains(out.String(), refused)) {
		t.Fatalf("%v: %v\n%s", args, err, out.String())
	}
	return false
}

// diesOften kills a command again and again, each time somewhat later, until it comes
// to its end.
func diesOften(t *testing.T, dir, refused string, args ...string) (deaths int) {
	t.Helper()
	for n := 1; dies(t, dir, n, refused, args...); deaths++ {
		step := *killStep
		if step == 0 {
			step = n + 6
		}
		n += step
	}
	return deaths
}

// night is a house with a day that is cleared, a second one that is not, a decision
// that waits for it, reserve accounts, and a file of offline purchases.
func night(t *testing.T) (file string) {
	t.Helper()
	file, ann, bob := house(t)
	dir := filepath.Dir(file)
	_, pack := placeOffline(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"x.yaml":        string(text) + "offline: {tac_keys: " + filepath.Dir(pack) + "/tac.csv}\n",
		"clearing.yaml": "match: [{by: [rrn]}]\nfiles: [{name: a.csv, link: a, required: true}]\noffline: [{merchant: \"104110045110001\"}]\nsettle: [{of: merchant, days: 1}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dayBook(t, file, 20260930)
	book, err := day.OpenBook(filepath.Join(dir, "data/cuts"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := journal.LoadKey(filepath.Join(dir, "data/journal.key"), filepath.Join(dir, "data/journal"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "data/journal"), Key: key, NoWarm: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []day.Date{20261001, 20261002} {
		err = errors.Join(err, book.Decide(day.Cut{Date: d, End: uint64(log.Next()), At: time.Date(2026, 10, int(d%100), 15, 0, 0, 0, time.UTC).UnixNano(), By: day.Scheduled}))
	}
	log.Mark(log.Next(), 100)
	if err := errors.Join(err, log.Commit(), log.Close(), book.Close()); err != nil {
		t.Fatal(err)
	}
	both := func(says string, args ...string) {
		t.Helper()
		out := want(t, exitDone, says, append(args, ann...)...)
		for _, w := range strings.FieldsFunc(out, func(r rune) bool { return r < '0' || r > '9' }) {
			want(t, exitDone, "", append([]string{args[0], "confirm", w}, bob...)...)
			return
		}
	}
	want(t, exitDone, "", append([]string{"reserve", "begin", "--date", "20261001"}, ann...)...)
	both("waits", "reserve", "open", "fund", "--floor=-100000000", "--warn=-100000000", "--why", "law")
	both("waits", "reserve", "open", "issuer:a", "--floor=-1000", "--why", "contract")
	both("waits", "reserve", "deposit", "issuer:a", "100000", "--why", "wire")
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261001")
	both("waits", "dispute", "decide", "20261001-o-11", "adjust", "--move=issuer:0=merchant:104110045110001=1", "--why", "small")
	if r := call("", "offline", "import", "-c", file, pack); r.code != exitDone {
		t.Fatal(r)
	}
	return file
}

// published is what a night leaves, byte for byte, and what the desks say of it.
func published(t *testing.T, file string) map[string]string {
	t.Helper()
	dir, all := filepath.Dir(file), map[string]string{}
	for _, top := range []string{"days", "decisions", "statements", "summaries", "in", "work", "tmp"} {
		err := filepath.WalkDir(filepath.Join(dir, "data/clearing", top), func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				if errors.Is(err, fs.ErrNotExist) {
					err = nil
				}
				return err
			}
			b, err := os.ReadFile(p)
			sum := sha256.Sum256(b)
			all[strings.TrimPrefix(p, dir)] = hex.EncodeToString(sum[:])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"reserve statements", "reserve list", "dispute list --state all", "offline status", "journal find --from 2026-10-01 --to 2026-10-03"} {
		all[args] = want(t, exitDone, "", append(strings.Fields(args), "-c", file)...)
	}
	for _, args := range []string{"reserve verify", "dispute verify", "journal verify"} {
		want(t, exitDone, "", append(strings.Fields(args), "-c", file)...)
	}
	return all
}

// inMemory has the test's folders where syncs cost nothing: a process that is killed
// loses none of its writes anywhere.
func inMemory(t *testing.T) {
	t.Helper()
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", memory)
	}
}

// A night that is killed behind any change that it makes to the disk, in the run, in the
// ledger and at the desk for disputes, and is done again, leaves what one leaves that
// was not. With killStep the cleaning behind it dies as well, which has a test of its own.
func TestNightKilledAnywhere(t *testing.T) {
	inMemory(t)
	file := night(t)
	killed := filepath.Join(t.TempDir(), "killed")
	if out, err := exec.Command("cp", "-a", filepath.Dir(file), killed).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	again := filepath.Join(killed, filepath.Base(file))
	acts := func(file string) [][]string {
		all := [][]string{{"clear", "run", "-c", file, "--date", "20261002"}, {"clean", "run", "-c", file, "--keep", "30", "--backups", filepath.Join(filepath.Dir(file), "backups")}}
		if *killStep == 0 {
			return all[:1]
		}
		return all
	}
	for i, a := range acts(again) {
		want(t, exitDone, "", acts(file)[i]...)
		whole := published(t, file)
		t.Logf("%s: %d deaths", a[:2], diesOften(t, filepath.Join(killed, "data"), "", a...))
		got := published(t, again)
		if !maps.Equal(got, whole) {
			for name := range whole {
				if got[name] != whole[name] {
					t.Errorf("%s: %s differs: %s, want %s", a[:2], name, got[name], whole[name])
				}
			}
			t.Errorf("%s: %d, want %d", a[:2], len(got), len(whole))
		}
	}
	if *killStep == 0 {
		return
	}
	want(t, exitDone, "files as listed", "clean", "check", filepath.Join(killed, "backups/20261002"))
	if left, err := filepath.Glob(filepath.Join(killed, "backups/*")); len(left) != 1 || err != nil {
		t.Errorf("beside the backup lie %v, %v", left, err)
	}
}

// An order of two persons that is killed anywhere is done once, or not yet.
func TestOrdersKilledAnywhere(t *testing.T) {
	inMemory(t)
	file, ann, bob := house(t)
	data := filepath.Join(filepath.Dir(file), "data")
	want(t, exitDone, "", append([]string{"reserve", "begin", "--date", "20261001"}, ann...)...)
	want(t, exitDone, "waits", append([]string{"reserve", "open", "fund", "--why", "law"}, ann...)...)
	want(t, exitDone, "", append([]string{"reserve", "confirm", "2"}, bob...)...)
	want(t, exitDone, "waits", append([]string{"reserve", "deposit", "fund", "500", "--why", "wire"}, ann...)...)
	deaths := diesOften(t, data, "no such proposal", append([]string{"reserve", "confirm", "4"}, bob...)...)
	if out := want(t, exitDone, "5.00", append([]string{"reserve", "list"}, ann...)...); strings.Contains(out, "10.00") {
		t.Errorf("%d deaths: %s", deaths, out)
	}
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261001")
	want(t, exitDone, "waits", append([]string{"dispute", "decide", "20261001-o-11", "ignore", "--why", "small"}, ann...)...)
	more := diesOften(t, data, "no such proposal", append([]string{"dispute", "confirm", "2"}, bob...)...)
	if out := want(t, exitDone, "decided", append([]string{"dispute", "list", "--state", "all"}, ann...)...); strings.Count(out, "20261001-o-11") != 1 {
		t.Errorf("%d deaths: %s", more, out)
	}
	for _, desk := range []string{"reserve", "dispute"} {
		want(t, exitDone, "", desk, "verify", "-c", file)
	}
	if deaths+more < 2 {
		t.Error(fmt.Sprint(deaths, more), "deaths")
	}
}
