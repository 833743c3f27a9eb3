package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"tongka/clearing/day"
)

// store says what is done. Keys:
//
//	s DATE NN   a step: its outputs and what later steps want of it
//	d DATE      a closed day
//	f SHA-256   a file of a closed day
//	last        the last day closed
type store struct{ db *pebble.DB }

// output is one file of a step.
type output struct {
	Name string `json:"name"` // below the day's folder, or below tmp
	Size int64  `json:"size"`
	Sum  string `json:"sum"` // SHA-256 of what is published, CRC-32C of rows between steps
	Temp bool   `json:"temp,omitempty"`
}

// stepRecord is a step that is done.
type stepRecord struct {
	Outputs []output        `json:"outputs"`
	Data    json.RawMessage `json:"data"`
}

// closedDay is what the days behind it need of a day.
type closedDay struct {
	Date  day.Date `json:"date"`
	To    uint64   `json:"to"`    // the end of its window in the journal
	Files []string `json:"files"` // SHA-256 of each
	Sums  string   `json:"sums"`  // SHA-256 of SHA256SUMS, which names all that is published
}

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := pebble.Open(filepath.Join(dir, "state"), &pebble.Options{Logger: silent{}, MemTableSize: 1 << 20})
	if err != nil {
		return nil, fmt.Errorf("清分状态库打不开，或另一清分正在运行 · the clearing's store does not open, or another run is at work: %w", err)
	}
	return &store{db}, nil
}

// silent keeps Pebble's notes from standard error. What is fatal ends the process.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(f string, args ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", args...)
	os.Exit(1)
}

func (s *store) close() error { return s.db.Close() }

func stepKey(d day.Date, s Step) []byte { return fmt.Appendf(nil, "s %s %02d", d, s) }
func dayKey(d day.Date) []byte          { return fmt.Appendf(nil, "d %s", d) }
func fileKey(sum string) []byte         { return fmt.Appendf(nil, "f %s", sum) }

var lastKey = []byte("last")

// get reads JSON; false when there is none.
func (s *store) get(key []byte, to any) (bool, error) {
	b, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("clearing: %q: %w", key, err)
	}
	if err := errors.Join(json.Unmarshal(b, to), closer.Close()); err != nil {
		return false, fmt.Errorf("clearing: %q: %w", key, err)
	}
	return true, nil
}

func (s *store) has(d day.Date, at Step) (bool, error) {
	var r stepRecord
	return s.get(stepKey(d, at), &r)
}

// step reads what a step that is done left.
func (s *store) step(d day.Date, at Step, data any) (*stepRecord, error) {
	var r stepRecord
	ok, err := s.get(stepKey(d, at), &r)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %s", ErrUnordered, at)
	}
	if err == nil && data != nil {
		err = json.Unmarshal(r.Data, data)
	}
	return &r, err
}

// done notes a step, durably.
func (s *store) done(d day.Date, at Step, outputs []output, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if b, err = json.Marshal(stepRecord{outputs, b}); err != nil {
		return err
	}
	return s.db.Set(stepKey(d, at), b, pebble.Sync)
}

// forget undoes a step and all behind it.
func (s *store) forget(d day.Date, from Step) error {
	return s.db.DeleteRange(stepKey(d, from), stepKey(d, Steps), pebble.Sync)
}

func (s *store) closed(d day.Date) (*closedDay, error) {
	var c closedDay
	ok, err := s.get(dayKey(d), &c)
	if err != nil || !ok {
		return nil, err
	}
	return &c, nil
}

func (s *store) last() (d day.Date, err error) {
	_, err = s.get(lastKey, &d)
	return d, err
}

// fileOf gives the day in which a file of this digest was cleared, 0 for a new one.
func (s *store) fileOf(sum string) (d day.Date, err error) {
	_, err = s.get(fileKey(sum), &d)
	return d, err
}

// end closes a day: the one batch.
func (s *store) end(c *closedDay) (err error) {
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	put := func(key []byte, v any) error {
		text, err := json.Marshal(v)
		return errors.Join(err, b.Set(key, text, nil))
	}
	err = errors.Join(put(dayKey(c.Date), c), put(lastKey, c.Date))
	for _, sum := range c.Files {
		err = errors.Join(err, put(fileKey(sum), c.Date))
	}
	return errors.Join(err, put(stepKey(c.Date, Close), stepRecord{Data: json.RawMessage("null")}), b.Commit(pebble.Sync))
}
