package payshield

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
)

const (
	masterClear = "73FE29329283FDF12540B6F80437C107"
	keyClear    = "0123456789ABCDEFFEDCBA9876543210"
)

// party is a server with the module behind it, so that tests can put keys in and
// play the other side with the same keys in clear.
type party struct {
	*Server
	t *testing.T
	m *soft.Module
}

func newParty(t *testing.T) party {
	m := soft.New(soft.TestLMK())
	return party{NewServer(m, Dialect{HeaderLen: 4}), t, m}
}

func (p party) wrap(kt hsm.KeyType, plain string) string {
	p.t.Helper()
	b, err := hex.DecodeString(plain)
	if err != nil {
		p.t.Fatal(err)
	}
	k, err := p.m.Wrap(kt, b)
	if err != nil {
		p.t.Fatal(err)
	}
	return k.String()
}

// fields asks and gives what follows the error code, which has to be code.
func (p party) fields(command, code string) string {
	p.t.Helper()
	got := ask(p.t, p.Server, command)
	if got[2:4] != code {
		p.t.Fatalf("%s: %s, want code %s", command, got, code)
	}
	return got[4:]
}

func openUnder(t *testing.T, master, enc string) string {
	t.Helper()
	m, _ := hex.DecodeString(master)
	e, err := hex.DecodeString(strings.TrimLeft(enc, "XY"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := clear.DecryptKey(m, e)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%X", plain)
}

// A terminal, holding its master key in clear, reads the keys that A0, HC and HA
// send it, and they are the ones that stay under the LMK.
func TestTerminalReadsNewKeys(t *testing.T) {
	p := newParty(t)
	tmk := p.wrap(hsm.TMK, masterClear)
	for _, c := range []struct {
		command, buType string
		lmkFirst        bool
	}{
		{"A01002U;1" + tmk + "X", "02", true},
		{"A01003U;1" + tmk + "X", "03", true},
		{"HC" + tmk + ";XU0", "02", false},
		{"HA" + tmk + ";XU0", "03", false},
	} {
		f := p.fields(c.command, "00")
		first, rest := f[:33], f[33:66]
		own, export := rest, first
		if c.lmkFirst {
			own, export = first, rest
		}
		plain, err := hex.DecodeString(openUnder(t, masterClear, export))
		if err != nil {
			t.Fatal(err)
		}
		kcv, err := clear.KCV(plain)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.fields("BU"+c.buType+"1"+own, "00"); got != fmt.Sprintf("%X", kcv) {
			t.Errorf("%s: the terminal's key has check value %X, ours %s", c.command, kcv, got)
		}
	}
}

// What A8 sends out, A6 takes in again, in every scheme that fits.
func TestExportThenImport(t *testing.T) {
	p := newParty(t)
	zmk := p.wrap(hsm.ZMK, masterClear)
	for n, schemes := range map[int][]string{8: {"Z", "0"}, 16: {"U", "X"}, 24: {"T", "Y"}} {
		plain := (keyClear + masterClear)[:2*n]
		own := p.wrap(hsm.ZPK, plain)
		for _, scheme := range schemes {
			out := p.fields("A8001"+zmk+own+scheme, "00")
			export, kcv := out[:len(out)-6], out[len(out)-6:]
			if scheme == "X" || scheme == "Y" || n == 8 {
				if got := openUnder(t, masterClear, export); got != plain {
					t.Errorf("scheme %s: the other side reads %s", scheme, got)
				}
			}
			tag := map[int]string{8: "Z", 16: "U", 24: "T"}[n]
			if back := p.fields("A6001"+zmk+export+tag, "00"); back != own+kcv {
				t.Errorf("scheme %s: comes back as %s, went as %s", scheme, back, own+kcv)
			}
		}
	}
}

// An imported key of even parity is taken with a warning, and with its fields.
func TestImportWarnsOfParity(t *testing.T) {
	p := newParty(t)
	zmk := p.wrap(hsm.ZMK, masterClear)
	even := "00" + keyClear[2:]
	master, _ := hex.DecodeString(masterClear)
	c, err := clear.NewCipher(master)
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := hex.DecodeString(even)
	enc, err := c.AppendEncrypted(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	own := p.wrap(hsm.ZPK, even)
	kcv, _ := clear.KCV(plain)
	if got := p.fields(fmt.Sprintf("A6001%sX%XU", zmk, enc), "01"); got != fmt.Sprintf("%s%X", own, kcv[:3]) {
		t.Errorf("A6: %s", got)
	}
	if got := p.fields(fmt.Sprintf("FA%sX%X", zmk, enc), "01"); got != fmt.Sprintf("%s%X", own, kcv) {
		t.Errorf("FA: %s", got)
	}
	// An Atalla variant of old hosts changes nothing.
	if got := p.fields(fmt.Sprintf("A6001%sX%XU12", zmk, enc), "01"); got != fmt.Sprintf("%s%X", own, kcv[:3]) {
		t.Errorf("A6 with a variant: %s", got)
	}
}

func TestZonePIN(t *testing.T) {
	p := newParty(t)
	source, destination := p.wrap(hsm.ZPK, masterClear), p.wrap(hsm.ZPK, keyClear)
	pan := [12]byte([]byte("550000025321"))
	from, _ := hex.DecodeString(masterClear)
	to, _ := hex.DecodeString(keyClear)
	block, err := clear.EncryptPIN(from, []byte("65432"), &pan, hsm.ISO0)
	if err != nil {
		t.Fatal(err)
	}
	got := p.fields(fmt.Sprintf("CC%s%s12%X0105%s", source, destination, block, pan), "00")
	if got[:2] != "05" || got[18:] != "05" {
		t.Fatalf("length and format: %s", got)
	}
	out, err := hex.DecodeString(got[2:18])
	if err != nil {
		t.Fatal(err)
	}
	pin, err := clear.DecryptPIN(to, [8]byte(out), &pan, hsm.ISO1)
	if err != nil || string(pin) != "65432" {
		t.Errorf("%q, %v", pin, err)
	}
	if got := ask(t, p.Server, fmt.Sprintf("CA%s%s12%X0105%s", source, destination, block, pan)); got != "CB10" {
		t.Errorf("a zone key as a terminal's: %s", got)
	}
}
