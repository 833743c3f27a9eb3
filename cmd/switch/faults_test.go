package main

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"tongka/console"
)

// TestFaultsAndFramesOfARunningSwitch: rubbish at the door is shown with its place
// and counted with its code, and a restart forgets it.
func TestFaultsAndFramesOfARunningSwitch(t *testing.T) {
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	g.up()
	if r := g.mustCtl("frames"); !strings.Contains(r.out, "no malformed frames") {
		t.Error(r)
	}
	// A frame that is no message, then a length that no listener takes.
	for _, b := range []string{"\x00\x12GET / HTTP/1.1\r\n\r\n", "\xFF\xFFx"} {
		c, err := net.Dial("tcp", g.fleetDoor())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(b)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c) // until it hangs up
		c.Close()
	}
	var frames []console.FrameRow
	g.until("both are counted", func() bool {
		frames = nil
		return json.Unmarshal([]byte(g.mustCtl("frames", "--json").out), &frames) == nil && len(frames) == 1 && frames[0].Count == 2
	})
	if f := frames[0]; f.Place != "pos" || f.Why == "" || f.Hex == "" || f.Length != 3 {
		t.Errorf("%+v", f)
	}
	var faults []console.FaultRow
	if err := json.Unmarshal([]byte(g.mustCtl("faults", "--json").out), &faults); err != nil {
		t.Fatal(err)
	}
	seen := map[string]uint64{}
	for _, f := range faults {
		seen[f.Code] = f.Count
	}
	if seen["TK-2001"] == 0 || seen["TK-4007"] == 0 {
		t.Errorf("%+v", faults)
	}
	if r := g.mustCtl("faults"); !strings.Contains(r.out, "TK-4007") || !strings.Contains(r.out, "what to do") {
		t.Error(r)
	}
	if !strings.Contains(g.log(), `"fault":"TK-2001"`) {
		t.Error(g.log())
	}
	kill(t, g.child)
	g.start()
	g.up()
	if r := g.mustCtl("frames"); !strings.Contains(r.out, "no malformed frames") {
		t.Error(r)
	}
}
