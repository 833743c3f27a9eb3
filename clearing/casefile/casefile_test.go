package casefile

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tongka/clearing/fee"
	"tongka/clearing/recon"
	"tongka/clearing/row"
	"tongka/txn"
)

func TestEventOfAVerdict(t *testing.T) {
	v := recon.Result{Class: recon.AmountDiffers, Reason: recon.OtherAmount, HasOurs: true, HasTheirs: true,
		Ours:   row.Row{ID: 77, Date: 20261001, RRN: 42, STAN: 9, Amount: 500, Kind: txn.Sale, Status: row.Settled, Link: 3},
		Theirs: row.Row{ID: 12, File: 2, Date: 20261001, Amount: 507, Kind: txn.Sale, Status: row.Settled}}
	copy(v.Ours.Merchant[:], "104")
	e := Of(20261002, Raised, &v)
	if e.Case != "20261001-o-77" || e.Fen != -7 || e.RRN != "000000000042" || e.Merchant != "104" || e.Ours.Txn != 77 || e.Theirs.Line != 12 || e.Class != "amount-differs" {
		t.Errorf("%+v", e)
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = EachEvent("cases.jsonl", strings.NewReader(string(b)+"\n\n"+string(b)), func(got *Event) error {
		if n++; got.Case != e.Case || *got.Ours != *e.Ours || *got.Theirs != *e.Theirs {
			t.Errorf("%+v", got)
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d events, %v", n, err)
	}
	v.HasOurs, v.Class = false, recon.TheirsOnly
	if e := Of(20261002, Raised, &v); e.Case != "20261001-t2-12" || e.Fen != -507 || e.Ours != nil {
		t.Errorf("%+v", e)
	}
}

func TestDecisions(t *testing.T) {
	var got []Transfer
	read := func(s string) error {
		return EachDecision("d.jsonl", strings.NewReader(s), func(d *Decision) error {
			all, err := d.Transfers()
			got = append(got, all...)
			return err
		})
	}
	if err := read(`{"case":"a","act":"book","ends":true,"moves":[{"from":"issuer:1","to":"merchant:104","fen":5}]}` + "\n" + `{"case":"b","act":"ignore"}`); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != (Transfer{fee.Party{Role: fee.Issuer, Name: "1"}, fee.Party{Role: fee.Merchant, Name: "104"}, 5}) {
		t.Errorf("%+v", got)
	}
	for s, want := range map[string]string{
		`{"case":"a","act":"book","move":[]}`: "d.jsonl:1: json: unknown field",
		"\n{":                                 "d.jsonl:2: ",
		`{"act":"book"}`:                      "case",
		`{"case":"a","act":"x","moves":[{"from":"bank","to":"acquirer","fen":1}]}`:         `moves[0]`,
		`{"case":"a","act":"x","moves":[{"from":"issuer:1","to":"acquirer","fen":0}]}`:     "0 fen",
		`{"case":"a","act":"x","moves":[{"from":"issuer:1","to":"acquirer","fen":-4}]}`:    "-4 fen",
		`{"case":"a","act":"x","moves":[{"from":"acquirer","to":"acquirer","fen":1}]}`:     "cannot be",
		`{"case":"a","act":"x"} {"case":"b","act":"x"}`:                                    "more behind",
		`{"case":"a","act":"x"}` + "\n" + `{"case":"` + strings.Repeat("a", maxLine) + `"`: "d.jsonl:2: ",
	} {
		if err := read(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", s, err, want)
		}
	}
	stop := errors.New("stop")
	if err := EachDecision("d", strings.NewReader(`{"case":"a","act":"x"}`), func(*Decision) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}
