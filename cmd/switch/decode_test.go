package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A sale with a test card number (BIN 622588, invented) as a terminal sends it:
// length, TPDU, header, 0200, bitmap, F2 F3 F4 F11 F41.
const saleHex = "0034" + "6000030000" + "602200000000" + "0200" + "7020000000800000" +
	"16" + "6225880000000001" + "000000" + "000000000100" + "000027" + "3130303030303031"

func saleBytes(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString(saleHex)
	if err != nil {
		t.Fatal(err)
	}
	b[1] = byte(len(b) - 2)
	return b
}

func TestDecodeTakesEveryInput(t *testing.T) {
	raw := saleBytes(t)
	text := strings.ToUpper(hex.EncodeToString(raw))
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := call("", "decode", "--json", text)
	if first.code != exitDone || !strings.Contains(first.out, `"mti": "0200"`) {
		t.Fatal(first)
	}
	for name, r := range map[string]result{
		"pieces":      call("", "decode", "--json", text[:10], text[10:40], text[40:]),
		"text file":   call("", "decode", "--json", write("text.hex", []byte(text[:20]+"\n"+text[20:]+"\n"))),
		"raw file":    call("", "decode", "--json", write("raw.bin", raw)),
		"--raw":       call(string(raw), "decode", "--json", "--raw"),
		"stdin":       call(text, "decode", "--json"),
		"raw stdin":   call(string(raw), "decode", "--json", "-"),
		"one dialect": call(text, "decode", "--json", "--dialect", "pos", "-"),
	} {
		var a, b map[string]any
		if err := json.Unmarshal([]byte(r.out), &b); err != nil || r.code != exitDone {
			t.Errorf("%s: %v, %v", name, r, err)
			continue
		}
		if err := json.Unmarshal([]byte(first.out), &a); err != nil {
			t.Fatal(err)
		}
		delete(a, "why") // names the input's way, too
		delete(b, "why")
		if got, want := mustJSON(t, b), mustJSON(t, a); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDecodeMasks(t *testing.T) {
	text := hex.EncodeToString(saleBytes(t))
	const pan = "6225880000000001"
	if r := call("", "decode", text); r.code != exitDone || strings.Contains(r.out, pan) || !strings.Contains(r.out, "F11") {
		t.Error(r)
	}
	if r := call("", "decode", "--unmask", text); r.code != exitDone || !strings.Contains(r.out, pan) {
		t.Error(r)
	}
}

// A message of an ASCII dialect is text itself; what is not hexadecimal in it
// shows that it is meant as it stands.
func TestDecodeTextMessage(t *testing.T) {
	message := "0800" + "0000000000800000" + "T-000001"
	r := call(message, "decode", "--json", "--dialect", "ascii")
	if r.code != exitDone || !strings.Contains(r.out, `"T-000001"`) {
		t.Error(r)
	}
}

func TestDecodeRefuses(t *testing.T) {
	whole := hex.EncodeToString(saleBytes(t))
	for name, c := range map[string]struct {
		stdin string
		args  []string
		want  []string
	}{
		"cut short":    {"", []string{whole[:len(whole)-6]}, []string{"F41", "byte 44"}},
		"a card":       {"", []string{"6225880000000000003"}, []string{"hexadecimal: 622588…: "}},
		"a folder":     {"", []string{t.TempDir()}, []string{"目录", "is a directory"}},
		"not a file":   {"", []string{"none.hex"}, []string{"neither a file nor hexadecimal", "none.hex"}},
		"half a byte":  {"", []string{"012"}, []string{"1:4"}},
		"pieces":       {"", []string{"01", "xy"}, []string{"'x'"}},
		"empty":        {"", nil, []string{"1:1", "there is no input"}},
		"too large":    {strings.Repeat("0", maxInput+1), nil, []string{"larger than"}},
		"long nothing": {"", []string{strings.Repeat("z", 100)}, []string{"zzz…"}},
	} {
		r := call(c.stdin, append([]string{"decode"}, c.args...)...)
		drawn := name == "cut short" // how far it could be read
		if r.code != exitFailed || (r.out != "") != drawn || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: %v", name, r)
		}
		for _, want := range c.want {
			if !strings.Contains(r.err, want) {
				t.Errorf("%s: %q is not in %s", name, want, r.err)
			}
		}
	}
}

// A file of packets, by its name or on standard input, is told from a message.
func TestDecodeReadsACapture(t *testing.T) {
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeIPv4); err != nil {
		t.Fatal(err)
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2}}
	tcp := &layers.TCP{SrcPort: 40001, DstPort: 7001, Seq: 1, ACK: true}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ip, tcp, gopacket.Payload(saleBytes(t))); err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]result{"file": call("", "decode", path), "stdin": call(file.String(), "decode", "-")} {
		if r.code != exitDone || !strings.Contains(r.out, "10.0.0.1:40001 → 10.0.0.2:7001") || !strings.Contains(r.out, "622588******0001") {
			t.Errorf("%s: %v", name, r)
		}
	}
	var rep struct{ Messages []struct{ From string } }
	if r := call("", "decode", "--json", path); json.Unmarshal([]byte(r.out), &rep) != nil || len(rep.Messages) != 1 || rep.Messages[0].From != "10.0.0.1:40001" {
		t.Error(r)
	}
	if r := call(file.String()+"half a packet", "decode", "-"); r.code != exitFailed || !strings.Contains(r.err, "damaged behind packet 1") || !strings.Contains(r.out, "622588******0001") {
		t.Errorf("cut short: %v", r)
	}
	if r := call(file.String()[:30], "decode", "-"); r.code != exitFailed || !strings.Contains(r.err, "damaged") {
		t.Error(r)
	}
}
