package load

import "testing"

// Enquiries may be refused for being too many, and for nothing else; sales not
// even for that.
func TestRefusedEnquiriesAreCounted(t *testing.T) {
	for _, c := range []struct {
		code    string
		enquiry bool
		refused bool
		fault   string
	}{{"96", true, true, ""}, {"00", true, false, ""}, {"51", true, false, "F39 51"}, {"96", false, false, "F39 96"}} {
		s := short(scripted(t, func(frame []byte) []byte { return reply(frame, c.code) }))
		s.Enquiry, s.Echo, s.Reconnect = c.enquiry, false, false
		r, err := Run(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		if (r.Refused > 0) != c.refused || (len(r.Faults) > 0) != (c.fault != "") || c.fault != "" && r.Faults[c.fault] == 0 {
			t.Errorf("code %s, enquiry %v: %+v", c.code, c.enquiry, r)
		}
	}
}

// What a stuck line of a bank costs is counted where it is expected.
func TestTimeoutsAreCounted(t *testing.T) {
	for code, refused := range map[string]bool{"98": true, "91": true, "96": false} {
		s := short(scripted(t, func(frame []byte) []byte { return reply(frame, code) }))
		s.Timeouts, s.Echo = true, false
		r, err := Run(s, nil)
		if err != nil || (r.Refused > 0) != refused || (len(r.Faults) > 0) == refused {
			t.Errorf("%s: %+v, %v", code, r, err)
		}
	}
}
