package purses

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/clearing/row"
	"tongka/clearing/run"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/offline"
	sim "tongka/sim/offline"
	"tongka/txn"
)

// place is a folder with a store into which files can be brought.
type place struct {
	t   *testing.T
	dir string
}

func (p *place) open() (*offline.Store, func() error, error) {
	keys, err := sim.Keys()
	if err != nil {
		return nil, nil, err
	}
	s, err := offline.Open(offline.Options{Dir: p.dir, Key: [32]byte{1}, Keys: keys, Verifier: &offline.Local{Modules: []hsm.Module{soft.New(soft.TestLMK())}}})
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// bring takes a file of a layout in, with the faults given.
func (p *place) bring(layout, name string, wrong ...sim.Wrong) {
	p.t.Helper()
	m, err := sim.NewMaker(layout, uint64(len(layout)))
	if err != nil {
		p.t.Fatal(err)
	}
	b, _, err := m.File(wrong)
	if err != nil {
		p.t.Fatal(err)
	}
	s, end, err := p.open()
	if err != nil {
		p.t.Fatal(err)
	}
	f, err := s.Import(p.t.Context(), &offline.Source{Name: name, Format: m.Format, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}, nil)
	if err := errors.Join(err, end()); err != nil || f.Stage != offline.Done {
		p.t.Fatalf("%s: %+v %v", name, f, err)
	}
}

func TestVerifiedRecordsBecomeRows(t *testing.T) {
	p := &place{t, filepath.Join(t.TempDir(), "offline")}
	s := &Store{Dir: p.dir, Zone: time.FixedZone("UTC+8", 8*3600), Open: p.open}
	if all, err := s.Files(); len(all) != 0 || err != nil {
		t.Fatalf("no store: %v %v", all, err)
	}
	p.bring("bus-64", "bus", sim.NoFault, sim.TAC, sim.NoFault, sim.Repeat)
	p.bring("city-316", "city", sim.NoFault)
	p.bring("recharge-205", "loads", sim.NoFault, sim.NoFault)
	p.bring("dongguan", "none", sim.TAC)
	all, err := s.Files()
	if err != nil || len(all) != 3 || all[0].Name != "bus" || all[0].Records != 2 || all[2].Records != 2 || len(all[0].SHA256) != 64 {
		t.Fatalf("%+v %v", all, err)
	}
	ids := map[uint64]bool{}
	for _, f := range all {
		n := 0
		err := s.Records(f.Name, func(r *run.PurseRecord) error {
			n++
			ids[r.Row.ID] = true
			want := txn.OfflineSale
			if f.Name == "loads" {
				want = txn.LoadCash
			}
			r.Row.Status = row.Settled
			if r.Row.Kind != want || r.Row.Net() <= 0 || r.Row.At == 0 || r.Row.Sent == 0 || r.SAM == "" || !strings.HasPrefix(r.Place, f.Name+":") {
				t.Errorf("%s: %+v", f.Name, r)
			}
			return nil
		})
		if err != nil || n != int(f.Records) {
			t.Errorf("%s: %d records, %v", f.Name, n, err)
		}
	}
	if len(ids) != 5 {
		t.Errorf("%d numbers of 5 records", len(ids))
	}
	for range 2 { // as a run after a crash does
		if err := s.Settled([]string{"bus", "loads"}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err = s.Files(); err != nil || len(all) != 1 || all[0].Name != "city" {
		t.Errorf("settled: %+v %v", all, err)
	}
	if err := s.Records("bus", func(*run.PurseRecord) error { return errors.New("once more") }); err != nil {
		t.Error(err)
	}
	stop := errors.New("stop")
	if err := s.Records("city", func(*run.PurseRecord) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the receiver's error is lost: %v", err)
	}
	if err := errors.Join(s.Records("x", nil), s.Settled([]string{"x"})); err == nil || strings.Count(err.Error(), "does not have it") != 2 {
		t.Errorf("a file that is not there: %v", err)
	}
}
