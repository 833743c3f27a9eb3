package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/des"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
)

// exampleZPK is the clear key that the example's remarks give the test bank.
const exampleZPK = "5B1C7F2A8CE3A4D60E9B37624FD1A8C2"

func TestSimKey(t *testing.T) {
	r := call("", "sim", "key", "--type", "zpk", "--json", exampleZPK)
	var got struct{ Type, Key, KCV string }
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != exitDone {
		t.Fatal(r, err)
	}
	// The check value again, by the standard library: parity does not matter to DES.
	clear, err := hex.DecodeString(exampleZPK)
	if err != nil {
		t.Fatal(err)
	}
	c, err := des.NewTripleDESCipher(append(clear, clear[:8]...))
	if err != nil {
		t.Fatal(err)
	}
	var zero [8]byte
	c.Encrypt(zero[:], zero[:])
	if want := fmt.Sprintf("%X", zero[:3]); got.KCV != want || got.Type != "zpk" {
		t.Errorf("got %+v, want check value %s", got, want)
	}
	cfg, err := config.Load("../../examples/tongka.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got.Key != cfg.Links[0].ZPK.String() {
		t.Errorf("the example has %s, not %s", cfg.Links[0].ZPK, got.Key)
	}
	text := call("", "sim", "key", "--type", "zpk", exampleZPK)
	if text.code != exitDone || !strings.Contains(text.out, got.Key) || !strings.Contains(text.out, got.KCV) || !strings.Contains(text.err, "never for production") {
		t.Error(text)
	}
}

// Every type is wrapped under its own LMK pair: the module that opens it as the
// same type finds the same check value.
func TestSimKeyTypes(t *testing.T) {
	m := soft.New(soft.TestLMK())
	for name, kind := range keyTypes {
		var got struct{ Key, KCV string }
		r := call("", "sim", "key", "--json", "--type", name, exampleZPK[:32])
		if err := json.Unmarshal([]byte(r.out), &got); err != nil {
			t.Fatal(r, err)
		}
		k, err := hsm.ParseKey(got.Key)
		if err != nil {
			t.Fatal(err)
		}
		if kcv, code := m.CheckValue(kind, &k); !code.OK() || fmt.Sprintf("%X", kcv[:3]) != got.KCV {
			t.Errorf("%s: %s, check value %X, %v", name, got.Key, kcv, code)
		}
	}
}

func TestExampleTerminalsAreTheProvisionedOnes(t *testing.T) {
	want, err := os.ReadFile("../../examples/terminals.csv")
	if err != nil {
		t.Fatal(err)
	}
	if r := call("", "sim", "provision", "--count", "10", "--seed", "1"); r.code != exitDone || r.out != string(want) {
		t.Errorf("%v\nthe example holds\n%s", r, want)
	}
}

// start runs a command until stop is called, which gives its result. The first
// line that holds word is sent to said.
func start(t *testing.T, word string, args ...string) (line string, stop func() result) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	pr, pw := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		c := runIn(args, streams{ctx: ctx, in: strings.NewReader(""), out: pw, err: &stderr})
		pw.Close()
		code <- c
	}()
	in := bufio.NewScanner(pr)
	var out strings.Builder
	for in.Scan() {
		out.WriteString(in.Text() + "\n")
		if strings.Contains(in.Text(), word) {
			line = in.Text()
			break
		}
	}
	if line == "" {
		cancel()
		t.Fatalf("%v ended: %s %s", args, &out, &stderr)
	}
	rest := make(chan string, 1)
	go func() {
		var b strings.Builder
		for in.Scan() {
			b.WriteString(in.Text() + "\n")
		}
		rest <- b.String()
	}()
	return line, func() result {
		cancel()
		c := <-code
		return result{c, out.String() + <-rest, stderr.String()}
	}
}

func TestSimBankAndHSMListen(t *testing.T) {
	for name, args := range map[string][]string{
		"bank": {"sim", "bank", "--listen", "127.0.0.1:0", "--zpk", exampleZPK, "--books", filepath.Join(t.TempDir(), "b.jsonl")},
		"hsm":  {"sim", "hsm", "--listen", "127.0.0.1:0"},
	} {
		line, stop := start(t, "listens at", args...)
		if !strings.Contains(line, "127.0.0.1:") {
			t.Errorf("%s: %q names no address", name, line)
		}
		if r := stop(); r.code != exitDone {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// A fleet that is refused says why: on standard error once, and in every status
// line.
func TestSimTerminalSaysWhyItCannotSell(t *testing.T) {
	path := edited(t, `"127.0.0.1:8080"`, `""`, `"127.0.0.1:8583"`, `"127.0.0.1:0"`, ", import: terminals.csv", "")
	line, stop := start(t, "终端接入 listening: ", "run", "-c", path)
	defer stop()
	at := line[strings.LastIndex(line, " ")+1:]
	_, end := start(t, "sign-in fails: F39 97 终端未登记 terminal not registered", "sim", "terminal", "--connect", at, "--count", "2", "--every", "10ms")
	r := end()
	if r.code != exitFailed || strings.Count(r.err, "terminals cannot sign in") != 1 || !strings.Contains(r.err, `"code":"97"`) {
		t.Error(r)
	}
	if want := "switch: 没有一台终端签到成功 · no terminal signed in. F39 97 终端未登记 terminal not registered"; !strings.Contains(r.err, want) {
		t.Errorf("no %q in %s", want, r.err)
	}
}

// A fleet without a switch says so, and ends when it is told to.
func TestSimTerminalEnds(t *testing.T) {
	_, stop := start(t, "terminals connect to", "sim", "terminal", "--connect", "127.0.0.1:1", "--count", "2", "--settle", "0s")
	r := stop()
	if r.code != exitFailed || !strings.Contains(r.out, "signed in 0") {
		t.Error(r)
	}
	if last := r.err[strings.LastIndex(strings.TrimSpace(r.err), "\n")+1:]; !strings.HasPrefix(last, "switch: ") || !hasHan(last) || !strings.Contains(last, " · ") {
		t.Errorf("it ends with %q", last)
	}
}

func TestSimTerminalMixIsChecked(t *testing.T) {
	for mix, says := range map[string]string{"vid=0.1": "种类=比例 · mix", "void=0.7,tip=0.7": "至多 1 · mix", "settle=0.1": "does not do settle; it does adjust"} {
		var out, errs strings.Builder
		if code := run([]string{"sim", "terminal", "--connect", "127.0.0.1:1", "--mix", mix}, strings.NewReader(""), &out, &errs); code != exitFailed || !strings.Contains(errs.String(), says) {
			t.Errorf("--mix %s: exit %d, %q", mix, code, &errs)
		}
	}
}

func TestSimCompare(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sales := write("t.jsonl", `{"merchant":"M","terminal":"T","amount":7,"state":"approved","pan":"","rrn":"1"}`+"\n")
	bank := write("b.jsonl", `{"bank":"b","merchant":"M","terminal":"T","amount":7,"state":"booked","rrn":"1","code":"00"}`+"\n")
	none := write("none.jsonl", "")
	if r := call("", "sim", "compare", "--terminals", sales, "--banks", bank); r.code != exitDone || !strings.Contains(r.out, "books agree") {
		t.Error(r)
	}
	if r := call("", "sim", "compare", "--terminals", sales, "--banks", none); r.code != exitFailed || !strings.Contains(r.out, "BOOKS DIFFER") {
		t.Error(r)
	}
	var v struct{ Lost int }
	r := call("", "sim", "compare", "--json", "--terminals", sales, "--banks", none)
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || v.Lost != 1 || r.code != exitFailed {
		t.Errorf("%v, %v", r, err)
	}
}
