package offline_test

import (
	"testing"

	"tongka/offline"
	sim "tongka/sim/offline"
)

// BenchmarkImport takes in files of 100,000 records of 316 bytes on the disk, from
// the first byte to the last TAC, and says how many records a minute that is.
func BenchmarkImport(b *testing.B) {
	m := maker(b, "city-316", 20)
	file, _, err := m.File(make([]sim.Wrong, 100_000))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		o := options(b, nil)
		o.Dir = b.TempDir()
		s := open(b, o)
		f, err := s.Import(b.Context(), source(m, "a", file), nil)
		if err != nil || f.Stage != offline.Done || f.States["T"] != 100_000 {
			b.Fatal(f, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100_000*60/(b.Elapsed().Seconds()/float64(b.N)), "records/min")
}
