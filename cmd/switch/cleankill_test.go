package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tongka/audit"
	"tongka/journal"
)

// cleanHouse cleans the house of a config on a day on which all of it is old, and kills
// itself at the nth place between two changes on disk; 0: at none. It counts the places.
func cleanHouse(file, backups string, die int) (places int, err error) {
	c, err := (&clerkFlags{Config: file}).clerk()
	if err != nil {
		return 0, err
	}
	s := &streams{ctx: context.Background(), in: strings.NewReader(""), out: io.Discard, err: os.Stderr, step: func(string) error {
		if places++; places == die {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}}
	err = c.clean(s, backups, 30, later)
	return places, err
}

func cleanAndDie(n, file, backups string) int {
	die, err := strconv.Atoi(n)
	if err == nil {
		_, err = cleanHouse(file, backups, die)
	}
	fmt.Fprintln(os.Stderr, err)
	return exitFailed // it should not have come here
}

// cleanPicture is all that a cleaned house and its backup have: files by their bytes, of
// databases what they hold.
func cleanPicture(t *testing.T, dir string) string {
	t.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		name := strings.TrimPrefix(p, dir)
		for _, store := range []string{"/data/journal", "/journal/", "/clearing/state", "/clearing/disputes", "/clearing/ledger"} {
			if err != nil || e.IsDir() || strings.Contains(name, store) {
				return err
			}
		}
		switch filepath.Base(p) {
		case "audit.jsonl": // what it says is looked at below; a backup that was begun twice has the first try's line
			return nil
		case "MANIFEST.json": // it has the time of day
			fmt.Fprintln(&b, name)
			return nil
		}
		text, err := os.ReadFile(p)
		fmt.Fprintf(&b, "%s %x\n", name, sha256.Sum256(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range []string{"data/journal", "backups/20261002/journal"} {
		log, err := journal.OpenReadOnly(journal.Options{Dir: filepath.Join(dir, j), Key: houseKey(t, dir)})
		if err != nil {
			t.Fatal(err)
		}
		floor, err := log.Floor()
		n := 0
		err = errors.Join(err, log.Replay(0, func(at journal.LSN, r *journal.Record) error { n++; return nil }), log.Close())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %d records, floor %v\n", j, n, floor)
	}
	said := map[string]bool{} // a note may stand twice: it is written before what it tells of
	if _, err := audit.Verify(filepath.Join(dir, "data/audit.jsonl"), func(e *audit.Entry) { said[e.Action] = true }); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&b, said)
	return b.String()
}

func houseKey(t *testing.T, dir string) [32]byte {
	t.Helper()
	key, err := journal.LoadKey(filepath.Join(dir, "data/journal.key"), filepath.Join(dir, "data/journal"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Killed between any two of its changes and run again, cleaning comes to the same.
func TestCleanKilledAnywhere(t *testing.T) {
	file, _, _ := house(t)
	dir := filepath.Dir(file)
	// Nothing differs: there is no case that somebody would have to end first.
	agree := strings.Join([]string{"rrn,amount", "274000000007,100", "274000000008,100", "274000000009,100", "274000000010,100", "274000000011,100", "end,5,500", ""}, "\n")
	if err := os.WriteFile(filepath.Join(dir, "data/clearing/in/20261001/a.csv"), []byte(agree), 0o600); err != nil {
		t.Fatal(err)
	}
	dayBook(t, file, 20260930)
	cut(t, file, 20261001, 20261002)
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261001")
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261002")
	begin := func() string {
		to, err := os.MkdirTemp("/dev/shm", "clean")
		if err != nil {
			to = t.TempDir()
		}
		t.Cleanup(func() {
			if err := os.RemoveAll(to); err != nil {
				t.Error(err)
			}
		})
		err = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			own := filepath.Join(to, strings.TrimPrefix(p, dir))
			if err != nil || e.IsDir() {
				return errors.Join(err, os.MkdirAll(own, 0o700))
			}
			text, err := os.ReadFile(p)
			return errors.Join(err, os.WriteFile(own, text, 0o600))
		})
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	whole := begin()
	places, err := cleanHouse(filepath.Join(whole, "x.yaml"), filepath.Join(whole, "backups"), 0)
	if err != nil {
		t.Fatal(err)
	}
	picture := cleanPicture(t, whole)
	if places < 10 || !strings.Contains(picture, "summaries/20261002.json") || strings.Contains(picture, "/in/") || !strings.Contains(picture, "desk-purge") {
		t.Fatalf("%d places: %s", places, picture)
	}
	for die := 1; die <= places; die++ {
		dir := begin()
		c := exec.Command(os.Args[0], filepath.Join(dir, "x.yaml"), filepath.Join(dir, "backups"))
		c.Env = append(os.Environ(), fmt.Sprintf("TONGKA_CLEAN_DIE=%d", die))
		out, err := c.CombinedOutput()
		if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
			t.Fatalf("place %d: %v\n%s", die, err, out)
		}
		for range 2 { // and once more: there is nothing left to do
			if _, err := cleanHouse(filepath.Join(dir, "x.yaml"), filepath.Join(dir, "backups"), 0); err != nil {
				t.Fatalf("killed at place %d: %v", die, err)
			}
		}
		if got := cleanPicture(t, dir); got != picture {
			t.Errorf("killed at place %d:\n got %s\nwant %s", die, got, picture)
		}
	}
}
