package query

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// manySales writes records/2 sales of an hour, each an intent and an outcome, of a
// thousand terminals and ten thousand cards, 64 to a turn.
func manySales(b *testing.B, dir string, records int) {
	b.Helper()
	log, err := journal.Open(journal.Options{Dir: dir, Key: key, NoWarm: true})
	if err != nil {
		b.Fatal(err)
	}
	answer := make([]byte, 120)
	step := int64(time.Hour) / int64(records/2+1)
	for i := 1; i <= records/2; i++ {
		f := facts(txn.ID(i), txn.Approved)
		f.At, f.Trace = day.UnixNano()+int64(i)*step, uint32(i%1_000_000)
		copy(f.Terminal.Number[:], fmt.Sprintf("%08d", i%1000))
		if f.PAN, err = txn.ParsePAN([]byte(strconv.Itoa(6222020000000000 + i%10_000))); err != nil {
			b.Fatal(err)
		}
		log.Append(&journal.Record{Kind: journal.Intent, Facts: f})
		log.Append(&journal.Record{Kind: journal.Outcome, Facts: f, Body: answer})
		if i%64 == 0 || i == records/2 {
			log.Stamp(f.At)
			if err := log.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFind looks for one sale by every key in a folder of a million records, or
// as many as TONGKA_RECORDS says. Nothing is indexed: each search but the one by
// number reads the time that is asked for.
//
//	go test ./journal/query -run xx -bench Find -benchtime 1x
func BenchmarkFind(b *testing.B) {
	records := 1_000_000
	if s := os.Getenv("TONGKA_RECORDS"); s != "" {
		var err error
		if records, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	manySales(b, dir, records)
	kept, err := journal.OpenReadOnly(journal.Options{Dir: dir, Key: key})
	if err != nil {
		b.Fatal(err)
	}
	defer kept.Close()
	d, err := NewDesk(kept.Reader, 1)
	if err != nil {
		b.Fatal(err)
	}
	_, first, err := d.locate(txn.ID(records/4), "")
	if err != nil {
		b.Fatal(err)
	}
	row := d.row(&first, 0, true)
	for _, c := range []struct {
		name string
		q    Query
	}{
		{"terminal", Query{Terminal: row.Terminal}}, {"merchant", Query{Merchant: row.Merchant, Limit: 1}}, {"card", Query{Card: row.Card}}, {"token", Query{Card: row.Token}},
		{"rrn", Query{RRN: row.RRN}}, {"state", Query{Result: "declined"}},
		{"minute", Query{From: time.Unix(0, first.At), To: time.Unix(0, first.At).Add(time.Minute)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				n := 0
				if err := d.Find(context.Background(), &c.q, func(*Row) error { n++; return nil }); err != nil || n == 0 && c.name != "state" {
					b.Fatal(err, n)
				}
			}
		})
	}
	b.Run("show", func(b *testing.B) {
		for range b.N {
			if _, err := d.Show(context.Background(), 0, row.RRN, false); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkVerify verifies a folder of two million records with half a million
// debts that are owed for them, or as many as TONGKA_RECORDS says.
//
//	go test ./journal/query -run xx -bench Verify -benchtime 1x
func BenchmarkVerify(b *testing.B) {
	sales := 500_000
	if s := os.Getenv("TONGKA_RECORDS"); s != "" {
		var err error
		if sales, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
		sales /= 4
	}
	dir := b.TempDir()
	manySales(b, dir, 2*sales)
	log, err := journal.Open(journal.Options{Dir: dir, Key: key, NoWarm: true})
	if err != nil {
		b.Fatal(err)
	}
	q := storefwd.New(log, []storefwd.Policy{{}}, 1)
	for i := range sales {
		f := facts(txn.ID(sales+i+1), txn.Open)
		log.Append(&journal.Record{Kind: journal.Intent, Facts: f})
		f.Result = txn.TimedOut
		log.Append(&journal.Record{Kind: journal.Outcome, Facts: f})
		q.Owe(&f, storefwd.Reversal, nil, 0, 1)
		if i%64 == 0 || i == sales-1 {
			if err := log.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	kept, err := journal.OpenReadOnly(journal.Options{Dir: dir, Key: key})
	if err != nil {
		b.Fatal(err)
	}
	defer kept.Close()
	d, err := NewDesk(kept.Reader, 1)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rep, err := d.Verify(context.Background(), nil)
		if err != nil || !rep.OK || rep.Records != 4*sales || rep.Debts != sales {
			b.Fatal(err, rep)
		}
	}
	b.ReportMetric(float64(b.N)*float64(4*sales)/b.Elapsed().Seconds(), "records/s")
}
