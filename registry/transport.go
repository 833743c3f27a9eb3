package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"tongka/hsm"
	"tongka/registry/sheet"
	"tongka/txn"
)

// A transport key is what a mother POS loads into terminals before they see a
// merchant: master keys are sent under it. Its own one goes before that of the
// terminal's maker, its group's, and the one for all.

// TransportKey names a transport key by what it is for.
type TransportKey struct {
	Of   string // maker, group or any
	Name string // of the maker, or the group's number
}

var (
	transportOf      = []string{"any", "group", "maker"}
	transportColumns = []string{"of", "name", "key"}
)

const transportPrefix = 'k'

// ErrNoTransport is the error of a terminal that no master key can be sent to.
var ErrNoTransport = errors.New("no transport key")

// TransportFor gives the key, under the LMK, that a master key is sent to a terminal
// under; none when there is none.
func (s *Snapshot) TransportFor(id *txn.Terminal) hsm.Key {
	t := s.Terminal(id)
	if t == nil {
		return hsm.Key{}
	}
	d := s.Details(id)
	if d != nil && d.Transport.N != 0 {
		return d.Transport
	}
	of := s.more.transports
	if d != nil && d.Maker != "" {
		if k, ok := of[TransportKey{"maker", d.Maker}]; ok {
			return k
		}
	}
	if k, ok := of[TransportKey{"group", strconv.Itoa(int(t.Group))}]; ok {
		return k
	}
	return of[TransportKey{Of: "any"}]
}

// Transports gives all transport keys that are no terminal's own.
func (s *Snapshot) Transports() map[TransportKey]hsm.Key { return s.more.transports }

// BySerial finds the terminal with a hardware serial number.
func (s *Snapshot) BySerial(serial string) (id txn.Terminal, ok bool) {
	id, ok = s.more.serials[serial]
	return id, ok
}

// serialsOf makes the index of serial numbers. Of two terminals with one number
// the index has neither: nobody could say which is meant.
func serialsOf(details map[txn.Terminal]*Details) map[string]txn.Terminal {
	m := map[string]txn.Terminal{}
	twice := map[string]bool{}
	for id, d := range details {
		if d.Serial == "" {
			continue
		}
		_, there := m[d.Serial]
		twice[d.Serial] = there || twice[d.Serial]
		m[d.Serial] = id
	}
	maps.DeleteFunc(m, func(serial string, _ txn.Terminal) bool { return twice[serial] })
	return m
}

// withDetails gives extras with some details more, or others in their place; nil
// takes them away.
func (x *extras) withDetails(changed map[txn.Terminal]*Details) *extras {
	next := *x
	next.details = maps.Clone(x.details)
	maps.Copy(next.details, changed)
	maps.DeleteFunc(next.details, func(_ txn.Terminal, d *Details) bool { return d == nil })
	next.serials = serialsOf(next.details)
	return &next
}

// ImportTransports reads transport keys from CSV (of, name, key under the LMK) and
// adds or changes them; one without a key is taken away.
func (r *Registry) ImportTransports(in io.Reader, name string) (added, changed int, err error) {
	t := sheet.Open(in, name, transportColumns, len(transportColumns))
	rows := map[TransportKey]hsm.Key{}
	for t.Next() {
		k := TransportKey{transportOf[t.Word(0, transportOf)], text(t, 1, "name")}
		v, i := t.Field(1)
		if group, err := strconv.ParseUint(k.Name, 10, 16); k.Of == "group" && (err != nil || strconv.FormatUint(group, 10) != k.Name) {
			t.FaultAt(i, "组号 %q 须为 0 至 65535 · group %q: 0 to 65535 wanted", v, v)
		}
		if (k.Of == "any") != (k.Name == "") {
			t.FaultAt(i, "any 不带名称，maker 与 group 须有名称 · any has no name, a maker or a group has one")
		}
		if _, twice := rows[k]; twice {
			t.FaultAt(0, "重复 · twice in this file: %s %s", k.Of, k.Name)
		}
		rows[k] = keyIn(t, 2)
	}
	if err := t.Verdict(); err != nil {
		return 0, 0, err
	}
	r.importing.Lock()
	defer r.importing.Unlock()
	x := *r.snap.Load().more
	x.transports = maps.Clone(x.transports)
	for k, key := range rows {
		switch old, had := x.transports[k]; {
		case !had && key.N != 0:
			added++
		case old != key:
			changed++
		}
		if x.transports[k] = key; key.N == 0 {
			delete(x.transports, k)
		}
	}
	return added, changed, r.amend(func(wb *badger.WriteBatch) error {
		for k, key := range rows {
			at := append([]byte{transportPrefix}, k.Of+"/"+k.Name...)
			err := wb.Delete(at)
			if key.N != 0 {
				err = setJSON(wb, at, key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, &x)
}

// ExportTransports writes all transport keys as ImportTransports reads them.
func (r *Registry) ExportTransports(w io.Writer) error {
	all := r.Snapshot().more.transports
	rows := [][]string{transportColumns}
	for _, k := range SortedTransports(all) {
		rows = append(rows, []string{k.Of, k.Name, all[k].String()})
	}
	return writeRows(w, rows)
}

// SortedTransports gives the names of keys in one order.
func SortedTransports(all map[TransportKey]hsm.Key) []TransportKey {
	return slices.SortedFunc(maps.Keys(all), func(a, b TransportKey) int {
		return cmp.Or(cmp.Compare(a.Of, b.Of), cmp.Compare(a.Name, b.Name))
	})
}

func readTransport(x *extras, key, val []byte) error {
	of, name, ok := strings.Cut(string(key[1:]), "/")
	if !ok {
		return errForm
	}
	var k hsm.Key
	if err := json.Unmarshal(val, &k); err != nil {
		return err
	}
	x.transports[TransportKey{of, name}] = k
	return nil
}
