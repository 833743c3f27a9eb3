// Command mutants puts one deliberate fault after the other into a copy of the
// product and plays the simulator's histories until one breaks a promise. A fault
// that none finds says that the simulator, or its checkers, are too weak.
//
//	go run ./tools/mutants [-run TEXT] [-seeds N] [-length N]
//
// It is run in the root of the module. The last line is JSON: mutants, caught.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	only := flag.String("run", "", "only mutants whose name holds this text · 只跑名称含此文字者")
	seeds := flag.Int("seeds", 500, "histories to play at most · 最多几段历史")
	length := flag.Int("length", 1000, "operations of each · 每段操作数")
	flag.Parse()
	if err := run(*only, *seeds, *length); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(only string, seeds, length int) error {
	dir, err := os.MkdirTemp("", "tongka-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(dir, "."); err != nil {
		return err
	}
	if out, seed, err := play(dir, 5, length); err != nil || seed != "" {
		return fmt.Errorf("未改动的程序应无违例 · without a mutant there must be no violation: %v %s\n%s", err, seed, out)
	}
	var total, caught int
	var faults []error
	for i := range mutants {
		m := &mutants[i]
		if !strings.Contains(m.name, only) {
			continue
		}
		total++
		begin := time.Now()
		seed, checker, err := try(dir, m, seeds, length)
		switch {
		case err != nil:
			faults = append(faults, err)
			fmt.Printf("故障 fault     %-60s %v\n", m.name, err)
		case seed == "":
			faults = append(faults, fmt.Errorf("存活 survived: %s", m.name))
			fmt.Printf("存活 SURVIVED  %-60s %d seeds\n", m.name, seeds)
		default:
			caught++
			fmt.Printf("发现 caught    %-60s seed %s: %s (%v)\n", m.name, seed, checker, time.Since(begin).Round(time.Second/10))
		}
	}
	line, err := json.Marshal(map[string]int{"mutants": total, "caught": caught})
	fmt.Println(string(line))
	return errors.Join(append(faults, err)...)
}

// try plays one mutant and puts the file back.
func try(dir string, m *mutant, seeds, length int) (seed, checker string, err error) {
	path := filepath.Join(dir, filepath.FromSlash(m.file))
	good, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	if n := strings.Count(string(good), m.old); n != 1 {
		return "", "", fmt.Errorf("%s: %s: the place is there %d times, not once", m.name, m.file, n)
	}
	bad := strings.Replace(string(good), m.old, m.new, 1)
	if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
		return "", "", err
	}
	out, seed, err := play(dir, seeds, length)
	if e := os.WriteFile(path, good, 0o600); err == nil {
		err = e
	}
	if err != nil {
		return "", "", fmt.Errorf("%s: %w\n%s", m.name, err, out)
	}
	if found := checkerName.FindStringSubmatch(out); found != nil {
		checker = found[1]
	}
	return seed, checker, nil
}

var (
	caughtBy    = regexp.MustCompile(`caught by seed ([0-9]+)`)
	checkerName = regexp.MustCompile(`Checker:([a-z-]+)`)
)

// play runs the histories in a copy; seed is empty when none broke a promise. A
// mutant that panics or hangs is caught as well.
func play(dir string, seeds, length int) (out, seed string, err error) {
	c := exec.Command("go", "test", "-count=1", "-vet=off", "-timeout=120s", "./sim/world", "-run", "^TestHistories$",
		fmt.Sprintf("-world.runs=%d", seeds), fmt.Sprintf("-world.length=%d", length))
	c.Dir = dir
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err = c.Run()
	out = b.String()
	switch found := caughtBy.FindStringSubmatch(out); {
	case err == nil:
		return out, "", nil
	case found != nil:
		return out, found[1], nil
	case strings.Contains(out, "panic: test timed out"):
		return out, "hangs", nil
	case strings.Contains(out, "panic: "):
		return out, "panics", nil
	}
	return out, "", err // it does not build, or the like
}

// copyTree copies what is needed to build: code, module files and embedded data.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != from && (strings.HasPrefix(name, ".") || name == "bin" || name == "docs") {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, p), 0o700)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, p), b, 0o600)
	})
}
