package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
)

func TestRolesRefuseWhatTheyDoNotUnderstand(t *testing.T) {
	cases := map[string]struct{ role, in, says string }{
		"no such role":      {"teller", "{}", "bench: teller: no such role"},
		"bank, no line":     {roleBank, "", "bench: bank: EOF"},
		"relay, no JSON":    {roleRelay, "x", "bench: relay: invalid character"},
		"relay, no bank":    {roleRelay, `{"bank":"127.0.0.1:1"}`, "relay: bank: dial"},
		"load, no JSON":     {roleLoad, "[]", "bench: load: json"},
		"load, no sense":    {roleLoad, "{}", "connections is out of range"},
		"hold, no JSON":     {roleHold, "", "bench: hold: EOF"},
		"hold, no sense":    {roleHold, "{}", "terminals is out of range"},
		"load, no address":  {roleLoad, `{"address":"x"}`, "bench: load: "},
		"load, no listener": {roleLoad, `{"address":"127.0.0.1:1","connections":1,"depth":1,"terminals":1,"first_trace":1}`, "refused"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out, complaints bytes.Buffer
			if code := role(c.role, strings.NewReader(c.in), &out, &complaints); code != 1 {
				t.Errorf("exit %d", code)
			}
			lines(t, complaints.String(), c.says)
			if out.Len() != 0 {
				t.Errorf("it says %q", out.String())
			}
		})
	}
}

// A bank lives until the end of its input, and its doors are open when it says
// so.
func TestBankRole(t *testing.T) {
	in, tell := io.Pipe()
	hear, out := io.Pipe()
	var complaints bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- role(roleBank, in, out, &complaints) }()
	if _, err := io.WriteString(tell, "{}\n"); err != nil {
		t.Fatal(err)
	}
	var ready bankReady
	if err := json.NewDecoder(hear).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{ready.Raw.String(), ready.Centre.String()} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	tell.Close()
	if code := <-ended; code != 0 {
		t.Fatalf("exit %d: %s", code, complaints.String())
	}
}

func TestUntilEnd(t *testing.T) {
	if err := untilEnd(json.NewDecoder(strings.NewReader(""))); err != nil {
		t.Errorf("the end is an error: %v", err)
	}
	if err := untilEnd(json.NewDecoder(strings.NewReader("{}"))); err == nil {
		t.Error("a message is the end")
	}
	if err := untilEnd(json.NewDecoder(strings.NewReader("{"))); err == nil {
		t.Error("half a message is the end")
	}
}
