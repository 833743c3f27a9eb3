package main

import (
	"context"
	"io"
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
