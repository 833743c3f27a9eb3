package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files that both sides of the comparison read have the differences that were
// planted, and clearing finds them.
func TestPlayedFilesAreCleared(t *testing.T) {
	dir := t.TempDir()
	s := &streams{ctx: context.Background(), out: io.Discard, err: io.Discard}
	names, planted, err := playedFiles(s, dir, 5000)
	if err != nil {
		t.Fatal(err)
	}
	found, err := clearFiles(names, dir, 1<<20)
	if err != nil || found != planted || planted != 50 {
		t.Errorf("%d differences found of %d, %v", found, planted, err)
	}
}

func TestPostgresThatIsNotThere(t *testing.T) {
	c := clearBenchCmd{Rows: 100, Memory: 1, Dir: t.TempDir(), Postgres: t.TempDir()}
	err := c.Run(&streams{ctx: context.Background(), out: io.Discard, err: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "initdb") && !strings.Contains(err.Error(), "postgres") {
		t.Errorf("a folder without PostgreSQL: %v", err)
	}
}

// Without PostgreSQL a line says so, and that is all; with several the newest counts.
func TestPostgresIsFound(t *testing.T) {
	was := postgresBins
	t.Cleanup(func() { postgresBins = was })
	dir := t.TempDir()
	postgresBins = filepath.Join(dir, "*", "bin", "postgres")
	var errs strings.Builder
	c := clearBenchCmd{Rows: 100, Memory: 1, Dir: dir, Postgres: "auto"}
	if err := c.Run(&streams{ctx: context.Background(), out: io.Discard, err: &errs}); err != nil || !strings.Contains(errs.String(), "is not installed") {
		t.Errorf("%v, %s", err, errs.String())
	}
	for _, v := range []string{"9", "15", "x"} {
		p := filepath.Join(dir, v, "bin")
		if err := os.MkdirAll(p, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p, "postgres"), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if bin := newestPostgres(); bin != filepath.Join(dir, "15", "bin") {
		t.Errorf("%q", bin)
	}
}
