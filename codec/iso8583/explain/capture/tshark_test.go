//go:build tshark

// Wireshark's own dissector reads what goes to a bank. It is a cross-check and no
// oracle: it knows no header of the card centre and two bytes of length only, so
// the messages are framed anew for it; and it takes F35 for packed when binary is
// bytes and F53 for eight bytes, so they have neither. Needs tshark; `make tshark` and .ci/run run it.

package capture

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/translate"
	"tongka/txn"
)

// sentToBank are the messages of a sale's life, from the MTI on.
func sentToBank(t *testing.T, s *iso8583.Spec) (all [][]byte) {
	t.Helper()
	b := iso8583.Pos().Begin(nil, 0x0200)
	for n, value := range []string{2: "6225880000000003", 3: "000000", 4: "000000012345", 11: "000077", 14: "3012", 22: "051", 23: "001", 25: "00", 26: "12",
		41: "T0000001", 42: "898310048160001", 49: "156", 60: "2200000100060"} {
		if value != "" {
			b.Put(n, []byte(value))
		}
	}
	msg, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	var v iso8583.View
	if err := iso8583.Pos().Parse(&v, msg); err != nil {
		t.Fatal(err)
	}
	var f txn.Facts
	var e translate.Echo
	if code := translate.ReadRequest(&v, &f, &e); code != (txn.Code{}) {
		t.Fatal(code)
	}
	e.Keep(&iso8583.Envelope{}, &v, msg)
	f.ID, f.At = 7_000_123, time.Date(2026, 11, 21, 9, 30, 15, 0, translate.Zone).UnixNano()
	f.Sent = f.At
	k, err := translate.NewBank(s, "00010000", "48023310", "48023310", "48020000")
	if err != nil {
		t.Fatal(err)
	}
	var c translate.Clock
	sale, err := k.AppendRequest(nil, &v, &f, nil, &e, []byte("\x01\x02\x03\x04\x05\x06\x07\xFF"), &c)
	if err != nil {
		t.Fatal(err)
	}
	reversal, err := k.AppendReversal(nil, &f, false, &c)
	if err != nil {
		t.Fatal(err)
	}
	logon, err := k.AppendNetwork(nil, &translate.Network{MTI: 0x0820, Net: 1, STAN: 9}, f.At, &c)
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range [][]byte{sale, reversal, logon} {
		var env iso8583.Envelope
		m, err := s.Split(frame, &env)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func TestTsharkReadsWhatGoesToTheBank(t *testing.T) {
	for _, c := range []struct {
		spec *iso8583.Spec
		bin  string // how wireshark calls the coding of bitmaps and binary fields
	}{{iso8583.Cups(), "Bin data not encoded"}, {iso8583.ASCII(), "Bin data represented as Hex Ascii characters"}} {
		p := newTape(t, false)
		p.open()
		sent := sentToBank(t, c.spec)
		for _, m := range sent {
			p.send(0, append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
		}
		path := filepath.Join(t.TempDir(), "bank.pcap")
		if err := os.WriteFile(path, p.out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		read := dissect(t, path, c.bin, len(sent))
		for i, m := range sent {
			var v iso8583.View
			if err := c.spec.Parse(&v, m); err != nil {
				t.Fatal(err)
			}
			got := read[i]
			if got[0] != v.MTI().String() {
				t.Errorf("%s %v: tshark reads the MTI %q", c.spec.Name(), v.MTI(), got[0])
			}
			fields := 0
			for n := 2; n <= 128; n++ {
				if v.Has(n) {
					fields++
				}
				want, value := asShown(&v, n), got[n]
				if c.spec.Kind(n) == iso8583.Binary && len(value) > len(want) {
					value = value[:len(want)] // version 4.0 ends raw binary with whatever follows in its memory
				}
				if !strings.EqualFold(value, want) {
					t.Errorf("%s %v F%d: tshark reads %q, want %q", c.spec.Name(), v.MTI(), n, value, want)
				}
			}
			if fields < 4 {
				t.Errorf("%s %v: only %d fields", c.spec.Name(), v.MTI(), fields)
			}
		}
	}
}

// asShown is a field as tshark prints it: binary in hexadecimal.
func asShown(v *iso8583.View, n int) string {
	raw := v.AppendText(nil, n)
	if v.Spec().Kind(n) == iso8583.Binary {
		return hex.EncodeToString(raw)
	}
	return strings.TrimSpace(string(raw))
}

// dissect gives MTI (0) and fields of each of the messages.
func dissect(t *testing.T, path, bin string, messages int) []map[int]string {
	t.Helper()
	args := []string{"-r", path, "-d", "tcp.port==7001,iso8583", "-o", "iso8583.len_endian:Big endian", "-o", "iso8583.binencode:" + bin,
		"-Y", "iso8583", "-T", "fields", "-E", "separator=|", "-e", "iso8583.mti"}
	for n := 2; n <= 128; n++ {
		args = append(args, "-e", "iso8583.bit"+strconv.Itoa(n))
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != messages {
		t.Fatalf("tshark sees %d messages, want %d: %s", len(lines), messages, out)
	}
	all := make([]map[int]string, messages)
	for i, line := range lines {
		all[i] = map[int]string{}
		for n, value := range strings.Split(line, "|") {
			if n > 0 {
				n++ // behind the MTI come the fields from 2 on
			}
			all[i][n] = strings.TrimSpace(value)
		}
	}
	return all
}
