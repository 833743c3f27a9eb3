package station

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/clearing/row"
	"tongka/clearing/run"
	"tongka/txn"
)

const sendConfig = `
cities:
  - {name: beijing, merchants: ["???1100*"]}
  - {name: shanghai, merchants: ["???2900*"]}
send:
  - {name: merchants, per: merchant, files: "M_{merchant}_{yyyymmdd}.csv", to: {folder: out}, acks: "yes"}
  - {name: cities, per: city, files: "C_{city}_{yyyymmdd}.txt", layout: cup-acom, to: {folder: out}}
  - {name: black, per: file, from: black.csv, files: "BL_{yyyymmdd}.csv", to: {folder: out}}
`

// closedDay writes what a run leaves of a day with these merchants' rows: one of 100
// fen for each.
func (g *ground) closedDay(merchants ...string) string {
	g.t.Helper()
	dir := filepath.Join(g.dir, "run")
	folder := run.DayFolder(dir, first.String())
	g.must(os.MkdirAll(folder, 0o700))
	var b []byte
	parties := ""
	for i, m := range merchants {
		r := row.Row{ID: uint64(i + 1), RRN: uint64(i + 1), Amount: 100, Kind: txn.Sale, Status: row.Settled, Sent: 1001093005, At: 1790818205e9}
		copy(r.Merchant[:], m)
		copy(r.Key[:], m)
		copy(r.Card[:], "6228481234")
		b = r.Append(b)
		if i == 0 || merchants[i-1] != m {
			parties += fmt.Sprintf(`{"role":"merchant","name":%q,"gross_fen":100,"fees_fen":-3,"cases_fen":0,"net_fen":97},`, m)
		}
	}
	sum := sha256.Sum256(b)
	for name, text := range map[string]string{run.DetailsFile: string(b), run.SumsFile: hex.EncodeToString(sum[:]) + "  " + run.DetailsFile + "\n",
		run.ReportJSON: `{"parties":[` + strings.TrimSuffix(parties, ",") + `]}`} {
		g.must(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	return dir
}

func (g *ground) out(name string) string {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, "out", name))
	g.must(err)
	return string(b)
}

func TestSend(t *testing.T) {
	g := newGround(t, sendConfig)
	g.must(os.MkdirAll(filepath.Join(g.dir, "out"), 0o700))
	g.must(os.WriteFile(filepath.Join(g.dir, "black.csv"), []byte("x\n"), 0o600))
	dir := g.closedDay("104110000000001", "104110000000001", "104290000000002", "999000000000003")
	order := SendOrder{Date: first, Run: dir}
	all, err := g.Send(t.Context(), order)
	if err != nil || len(all) != 7 {
		t.Fatalf("%d, %v", len(all), err)
	}
	text := g.out("M_104110000000001_20261001.csv")
	if !strings.HasSuffix(text, "end,2,200\n") || strings.Count(text, "\n") != 4 {
		t.Error(text)
	}
	if s := g.out("M_104110000000001_20261001.csv.totals.csv"); !strings.Contains(s, "\n20261001,104110000000001,2,200,200,100,-3,0,97,M_104110000000001_20261001.csv,"+all[0].SHA256) {
		t.Error(s)
	}
	sum := sha256.Sum256([]byte(text))
	if s := g.out("M_104110000000001_20261001.csv.sha256"); s != hex.EncodeToString(sum[:])+"  M_104110000000001_20261001.csv\n" {
		t.Error(s)
	}
	if s := g.out("C_beijing_20261001.txt"); strings.Count(s, "\n") != 2 || !strings.Contains(s, "104110000000001") {
		t.Error(s)
	}
	if s := g.out("C_other_20261001.txt.totals.csv"); !strings.Contains(s, ",other,1,100,100,100,-3,0,97,") {
		t.Error(s)
	}
	if g.out("BL_20261001.csv") != "x\n" {
		t.Error("the list")
	}

	// Once is enough; by order it goes again, and is what it was.
	g.must(os.WriteFile(filepath.Join(g.dir, "black.csv"), []byte("y\n"), 0o600))
	if all, err = g.Send(t.Context(), order); err != nil || all[0].Times != 1 {
		t.Errorf("%+v, %v", all[0], err)
	}
	order.Again = true
	if all, err = g.Send(t.Context(), order); err != nil || all[6].Times != 2 || g.out("BL_20261001.csv") != "x\n" {
		t.Errorf("%+v, %v", all[6], err)
	}
	if all, err = g.Send(t.Context(), SendOrder{Date: first, Run: dir, Only: []string{"black"}, Name: "BL_20261001.csv", Again: true}); err != nil || len(all) != 1 || all[0].Times != 3 {
		t.Errorf("%+v, %v", all, err)
	}

	// Acknowledgements: right, wrong, by hand.
	g.must(os.WriteFile(filepath.Join(g.dir, "out/M_104110000000001_20261001.csv.ack"), []byte(hex.EncodeToString(sum[:])), 0o600))
	g.must(os.WriteFile(filepath.Join(g.dir, "out/M_104290000000002_20261001.csv.ack"), []byte("0000"), 0o600))
	g.must(g.Pass(t.Context()))
	all, err = g.SentOf(first)
	g.must(err)
	got := map[string]*Sent{}
	for _, x := range all {
		got[x.Name] = x
	}
	if x := got["M_104110000000001_20261001.csv"]; !strings.HasSuffix(x.Acked, ".ack") {
		t.Errorf("%+v", x)
	}
	if x := got["M_104290000000002_20261001.csv"]; x.Acked != "" || !strings.Contains(x.Why, "another digest") {
		t.Errorf("%+v", x)
	}
	if x, err := g.Ack(first, "BL_20261001.csv"); err != nil || !strings.HasSuffix(x.Acked, "tester") {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := g.Ack(first, "nothing.csv"); err == nil {
		t.Error("acknowledged what was not sent")
	}
}

// What cannot be put is written down and goes the next time; what is not there is said.
func TestSendFails(t *testing.T) {
	g := newGround(t, sendConfig)
	g.must(os.WriteFile(filepath.Join(g.dir, "black.csv"), []byte("x\n"), 0o600))
	if _, err := g.Send(t.Context(), SendOrder{Date: first, Run: g.dir}); !errors.Is(err, run.ErrNoDetails) {
		t.Error(err)
	}
	dir := g.closedDay("104110000000001")
	all, err := g.Send(t.Context(), SendOrder{Date: first, Run: dir})
	if err != nil || all[0].Times != 0 || all[0].Why == "" {
		t.Errorf("%+v, %v", all, err)
	}
	g.must(os.MkdirAll(filepath.Join(g.dir, "out"), 0o700))
	if all, err = g.Send(t.Context(), SendOrder{Date: first, Run: dir}); err != nil || all[0].Times != 1 || all[0].Why != "" {
		t.Errorf("%+v, %v", all, err)
	}
	// Sent again and not there: what the other side had before does not make it done.
	g.must(os.Rename(filepath.Join(g.dir, "out"), filepath.Join(g.dir, "away")))
	if all, err = g.Send(t.Context(), SendOrder{Date: first, Run: dir, Again: true}); err != nil || !all[2].Owed || !g.Open(all[2]) {
		t.Errorf("%+v, %v", all[2], err)
	}
	g.must(os.Rename(filepath.Join(g.dir, "away"), filepath.Join(g.dir, "out")))
	if all, err = g.Send(t.Context(), SendOrder{Date: first, Run: dir}); err != nil || all[2].Owed || all[2].Why != "" || all[2].Times != 2 || g.Open(all[2]) || !g.Open(all[0]) {
		t.Errorf("%+v, %v", all[2], err)
	}
	for _, o := range []SendOrder{{Date: first, Run: dir, Only: []string{"nobody"}}, {Date: first, Run: dir, Name: "nothing"}} {
		if _, err := g.Send(t.Context(), o); err == nil {
			t.Errorf("%+v is sent", o)
		}
	}
	// A day whose rows somebody has touched is not given out.
	g = newGround(t, sendConfig)
	dir = g.closedDay("104110000000001")
	p := filepath.Join(run.DayFolder(dir, first.String()), run.DetailsFile)
	b, err := os.ReadFile(p)
	g.must(err)
	b[60]++
	g.must(os.WriteFile(p, b, 0o600))
	if _, err := g.Send(t.Context(), SendOrder{Date: first, Run: dir}); err == nil {
		t.Error("changed rows are sent")
	}
}

func TestSendConfigFaults(t *testing.T) {
	for text, want := range map[string]string{
		`send: [{name: a, per: merchant, files: "x.csv", to: {folder: y}}]`:                         "{merchant} 与 {yyyymmdd}",
		`send: [{name: a, per: week, files: "x.csv", to: {folder: y}}]`:                             "没有 \"week\"",
		`send: [{name: a, per: file, files: "x{yyyymmdd}", to: {folder: y}}]`:                       "from 只用于",
		`send: [{name: a, per: city, files: "../{city}{yyyymmdd}", to: {folder: y}}]`:               "files 须为文件名",
		`send: [{name: a, per: city, files: "{city}{yyyymmdd}", to: {sftp: y}}]`:                    "缺少 folder",
		`send: [{name: a, per: city, files: "{city}{yyyymmdd}", to: {folder: y}, layout: nothing}]`: "没有格式",
		`cities: [{name: "a/b", merchants: [x]}]`:                                                   "不可作城市名",
		`cities: [{name: other, merchants: [x]}]`:                                                   "不可作城市名",
		`cities: [{name: a, merchants: ["["]}]`:                                                     "须为商户号",
	} {
		if _, err := Parse("station.yaml", "/x", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
