package ledger

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/audit"
	"tongka/clearing/chain"
	"tongka/clearing/reserve"
)

var (
	ann = audit.Who{UID: 1, Via: "test"}
	bob = audit.Who{UID: 2, Via: "test"}
)

func open(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := Open(filepath.Join(dir, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// does has an order done by two persons.
func does(l *Ledger, o Order) error {
	o.Why, o.By = "why", ann
	n, err := l.Propose(o)
	if err == nil {
		_, _, err = l.Confirm(n, bob)
	}
	return err
}

func (l *Ledger) balance(name string) int64 {
	for _, a := range l.Accounts() {
		if a.Name == name {
			return a.Balance
		}
	}
	return -1 << 60
}

func TestOrdersByTwo(t *testing.T) {
	dir := t.TempDir()
	t.Run("before a restart", func(t *testing.T) {
		l := open(t, dir)
		if _, err := l.Propose(Order{Do: OpenAccount, Account: "a", Why: "w"}); !errors.Is(err, ErrNew) {
			t.Errorf("%v", err)
		}
		if err := l.Begin(20261001, ann); err != nil {
			t.Fatal(err)
		}
		if err := l.Begin(20261002, ann); err == nil {
			t.Error("it began twice")
		}
		if err := errors.Join(does(l, Order{Do: OpenAccount, Account: "issuer:a", Floor: -100, Warn: 500}), does(l, Order{Do: Deposit, Account: "issuer:a", Fen: 1000})); err != nil {
			t.Fatal(err)
		}
		for want, o := range map[string]Order{"there is one": {Do: OpenAccount, Account: "issuer:a"}, "no name": {Do: OpenAccount, Account: "a b"}, "no order": {Do: "steal", Account: "issuer:a"},
			"below": {Do: Withdraw, Account: "issuer:a", Fen: 1101}, "cannot be": {Do: Deposit, Account: "issuer:a", Fen: -1}, "there is none": {Do: Deposit, Account: "x", Fen: 1},
			"has 1000": {Do: CloseAccount, Account: "issuer:a"}, "floor 1": {Do: SetLimits, Account: "issuer:a", Floor: 1, Warn: 2}} {
			o.Why, o.By = "w", ann
			if _, err := l.Propose(o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		if _, err := l.Propose(Order{Do: Deposit, Account: "issuer:a", Fen: 1, Why: "a\nb"}); err == nil {
			t.Error("a reason of two lines")
		}
		n, err := l.Propose(Order{Do: Withdraw, Account: "issuer:a", Fen: 800, Why: "w", By: ann})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Confirm(n, ann); !errors.Is(err, ErrSamePerson) {
			t.Errorf("%v", err)
		}
	})
	l := open(t, dir)
	if len(l.Waiting()) != 1 || l.balance("issuer:a") != 1000 {
		t.Fatalf("%+v", l.st)
	}
	number := l.Waiting()[0].Number
	if _, warn, err := l.Confirm(number, bob); err != nil || !warn || l.balance("issuer:a") != 200 {
		t.Errorf("%v %v %d", warn, err, l.balance("issuer:a"))
	}
	if _, _, err := l.Confirm(number, bob); !errors.Is(err, ErrNoProposal) {
		t.Errorf("%v", err)
	}
	if err := l.Reject(number, bob); !errors.Is(err, ErrNoProposal) {
		t.Errorf("%v", err)
	}
}

// Nothing is taken out between the question of a day's clearing and its night, and
// the night is booked once.
func TestNight(t *testing.T) {
	l := open(t, t.TempDir())
	if free, err := l.Freeze(20261001, ann); free != nil || err != nil {
		t.Errorf("%v %v", free, err)
	}
	for _, err := range []error{l.Begin(20261001, ann), does(l, Order{Do: OpenAccount, Account: "issuer:a"}), does(l, Order{Do: Deposit, Account: "issuer:a", Fen: 1000}),
		does(l, Order{Do: OpenAccount, Account: "fund"})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	free, err := l.Freeze(20261001, ann)
	if err != nil || free["issuer:a"] != 1000 || free["fund"] != 0 {
		t.Fatalf("%v %v", free, err)
	}
	if _, err := l.Propose(Order{Do: Withdraw, Account: "issuer:a", Fen: 1, Why: "w"}); !errors.Is(err, ErrFrozen) {
		t.Errorf("%v", err)
	}
	if err := does(l, Order{Do: Deposit, Account: "issuer:a", Fen: 50}); err != nil {
		t.Errorf("a deposit: %v", err)
	}
	text := `{"ref":"c1","date":"20261001","kind":"consume","account":"issuer:a","fen":-1000}
{"ref":"l","date":"20261001","kind":"load","account":"fund","fen":-70}
{"ref":"r","date":"20261001","kind":"refund","account":"fund","fen":-30}
{"ref":"j","date":"20261001","kind":"adjust","account":"fund","fen":150}
{"ref":"n","date":"20261001","kind":"consume","account":"nobody","fen":-5}
`
	for want, bad := range map[string]string{"x:1: ": "{}\n", "x:6: ": text + `{"ref":"z","date":"20261002","kind":"load","account":"fund","fen":1}`, "unknown field": `{"reff":"z"}`} {
		if _, err := l.Night(20261001, "x", strings.NewReader(bad), ann); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := l.Night(20261002, "x", strings.NewReader(""), ann); err == nil {
		t.Error("tomorrow is closed today")
	}
	st, err := l.Night(20261001, "x", strings.NewReader(text), ann)
	if err != nil || len(st.Accounts) != 2 || st.Accounts[0].Closing != 50 || st.Accounts[1].Closing != 50 || st.Accounts[1].Consume != -1000 {
		t.Fatalf("%+v %v", st, err)
	}
	if again, err := l.Night(20261001, "x", strings.NewReader(text), ann); again != nil || err != nil {
		t.Errorf("%+v %v", again, err)
	}
	if l.Date() != 20261002 || l.balance("fund") != 50 {
		t.Errorf("%+v", l.st)
	}
	if _, err := l.Night(20261002, "x", strings.NewReader(""), ann); err != nil {
		t.Error(err)
	}
	if days, err := l.Verify(); days != 2 || err != nil {
		t.Errorf("%d %v", days, err)
	}
	l.st.Books.Accounts[0].Balance++
	var ch chain.Change
	if err := errors.Join(ch.Put(stateKey, l.st), l.s.Commit(&ch)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Verify(); err == nil {
		t.Error("money that came from nowhere is not found")
	}
}

// Books that are made anew from what lies on disk are the same, whatever was done.
func TestSnapshotIsWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := reserve.New(20261001)
	names := []string{"a", "b", "c"}
	for _, n := range names {
		if err := b.Open(n, reserve.Limits{Floor: -500}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		e := reserve.Entry{Ref: string(rune('A'+i%60)) + "x", Date: 20261001, Kind: reserve.Kind(1 + r.IntN(6)), Account: names[r.IntN(3)], Amount: int64(r.IntN(400))}
		_, _ = b.Post(e) // some are refused
		s := b.Snapshot()
		again, err := reserve.Restore(&s)
		if err != nil {
			t.Fatal(err)
		}
		x, err1 := json.Marshal(s)
		y, err2 := json.Marshal(again.Snapshot())
		if err1 != nil || err2 != nil || string(x) != string(y) {
			t.Fatalf("%s\n%s", x, y)
		}
		b = again
	}
	s := b.Snapshot()
	s.World++
	if _, err := reserve.Restore(&s); err == nil {
		t.Error("a sum that is not zero")
	}
}

func TestSignatures(t *testing.T) {
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err1 := x509.MarshalPKCS8PrivateKey(private)
	pub, err2 := x509.MarshalPKIXPublicKey(public)
	write := func(name, kind string, b []byte, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	own, theirs := write("own", "PRIVATE KEY", der, 0o600), write("public", "PUBLIC KEY", pub, 0o644)
	st := &Statement{Date: 20261001, Accounts: []reserve.Statement{{Account: "a", Deposit: 5, Closing: 5}}}
	for sign, check := range map[string]string{own: theirs, filepath.Join(dir, "hmac"): filepath.Join(dir, "hmac")} {
		k, err := LoadKey(sign, true)
		if err != nil {
			t.Fatal(err)
		}
		s, err := k.Sign(st)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		c, err := LoadKey(check, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Check(b); err != nil || got.Accounts[0].Closing != 5 {
			t.Errorf("%v", err)
		}
		for _, spoil := range [][2]string{{`"Deposit": 5`, `"Deposit": 6`}, {s.Signature[:8], "00000000"}, {s.Algorithm, "none"}} {
			bad := strings.Replace(string(b), spoil[0], spoil[1], 1)
			if _, err := c.Check([]byte(bad)); err == nil || bad == string(b) {
				t.Errorf("%v passes", spoil)
			}
		}
	}
	if k, err := LoadKey(theirs, false); err != nil {
		t.Error(err)
	} else if _, err := k.Sign(st); err == nil {
		t.Error("a public key signs")
	}
	if _, err := LoadKey(write("open", "PRIVATE KEY", der, 0o644), false); err == nil {
		t.Error("a key that others read")
	}
	if _, err := LoadKey(filepath.Join(dir, "none"), false); err == nil {
		t.Error("no key")
	}
}
