package extsort

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sorted adds all and reads them back.
func sorted(t *testing.T, s *Sorter, recs [][]byte) (out [][]byte) {
	t.Helper()
	for _, r := range recs {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	st, err := s.Sort()
	if err != nil {
		t.Fatal(err)
	}
	for {
		rec, err := st.Next()
		if err != nil {
			t.Fatal(err)
		}
		if rec == nil {
			break
		}
		out = append(out, bytes.Clone(rec))
	}
	if rec, err := st.Next(); rec != nil || err != nil {
		t.Errorf("behind the end: %x, %v", rec, err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	return out
}

// Whatever the memory, the order is that of the bytes, and nothing stays behind.
func TestSortsAsASliceDoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 15, 16, 17, 100, 5000} {
		for _, memory := range []int{1, 400, 1 << 20} {
			dir := t.TempDir()
			recs := make([][]byte, n)
			for i := range recs {
				recs[i] = make([]byte, 13)
				for j := range recs[i] {
					recs[i][j] = byte(rng.IntN(3)) // many alike, in the first eight bytes as well
				}
			}
			s, err := New(Options{Dir: dir, Name: "t", Size: 13, Memory: memory})
			if err != nil {
				t.Fatal(err)
			}
			got := sorted(t, s, recs)
			slices.SortFunc(recs, bytes.Compare)
			if !slices.EqualFunc(got, recs, bytes.Equal) {
				t.Errorf("%d records in %d bytes come out otherwise", n, memory)
			}
			if s.Count() != int64(n) {
				t.Errorf("counted %d of %d", s.Count(), n)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("%d records in %d bytes: %d files stay", n, memory, len(left))
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	if _, err := New(Options{Size: 9}); err == nil {
		t.Error("no folder")
	}
	if _, err := New(Options{Dir: "x", Size: 7}); err == nil {
		t.Error("records of seven bytes")
	}
	s, err := New(Options{Dir: t.TempDir(), Size: 9})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(make([]byte, 8)); err == nil || !strings.Contains(err.Error(), "record 0 has 8 bytes") {
		t.Errorf("a short record: %v", err)
	}
}

// A run that is cut short is an error with its name, not a shorter day.
func TestCutRunIsAnError(t *testing.T) {
	dir := t.TempDir()
	s, _ := New(Options{Dir: dir, Name: "cut", Size: 10, Memory: 1})
	for i := range 40 {
		if err := s.Add([]byte{byte(i), 0, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "cut.000000.run"), 155); err != nil {
		t.Fatal(err)
	}
	st, err := s.Sort()
	for err == nil {
		var rec []byte
		if rec, err = st.Next(); rec == nil && err == nil {
			t.Fatal("the end of a cut run passes for the end")
		}
	}
	if !strings.Contains(err.Error(), "cut.000000.run") {
		t.Errorf("%v does not name the run", err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseWithoutSortRemovesRuns(t *testing.T) {
	dir := t.TempDir()
	s, _ := New(Options{Dir: dir, Size: 8, Memory: 1})
	for range 50 {
		if err := s.Add(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) == 0 {
		t.Fatal("nothing was spilled")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%d files stay", len(left))
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	s, _ := New(Options{Dir: t.TempDir(), Size: 8, Memory: 1})
	for range 1000 {
		if err := s.Add(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
	st, err := s.Sort()
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if n := testing.AllocsPerRun(500, func() { _, _ = st.Next() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Records that are alike for most of their length are in order as well, also when the
// first that differs comes in a later run.
func TestSortsWhatIsAlike(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 2))
	for _, alike := range []int{0, 1, 7, 8, 11, 12, 13} {
		for _, late := range []bool{false, true} {
			recs := make([][]byte, 3000)
			for i := range recs {
				recs[i] = bytes.Repeat([]byte{5}, 20)
				for j := alike; j < 20; j++ {
					recs[i][j] = byte(rng.IntN(4))
				}
				if late && i > 2000 && i%100 == 0 {
					recs[i][0] = byte(rng.IntN(9))
				}
			}
			s, err := New(Options{Dir: t.TempDir(), Name: "t", Size: 20, Memory: 8000})
			if err != nil {
				t.Fatal(err)
			}
			got := sorted(t, s, recs)
			slices.SortFunc(recs, bytes.Compare)
			if !slices.EqualFunc(got, recs, bytes.Equal) {
				t.Errorf("alike %d, late %v: another order", alike, late)
			}
		}
	}
}
