package payshield

import (
	"fmt"

	"tongka/hsm"
)

// Parse reads the response to a request with the given verb into r and gives its
// header. r.Code is what the module said; when that is not 00 the rest of r is
// zero. An error means that the frame is no response to that verb, and names the
// byte; r is then not to be used. It allocates nothing but errors.
func (d *Dialect) Parse(frame []byte, verb hsm.Verb, r *hsm.Reply) (header uint32, err error) {
	*r = hsm.Reply{}
	if verb > hsm.Diagnose {
		return d.parseMore(frame, verb, r)
	}
	c := cursor{b: frame}
	header = c.header(d.width())
	what := c.take(2, "response code")
	c.responseTo(verb, what)
	if e := c.take(2, "error code"); e != nil {
		r.Code = hsm.Code(e)
	}
	if c.failed() {
		return header, c.fault("response")
	}
	if !r.Code.OK() {
		return header, nil // warnings with fields are not among these verbs
	}
	switch verb {
	case hsm.MakeMAC:
		d.readMAC(&c, r)
	case hsm.TranslatePIN:
		c.number(2, 10, "PIN length of 2 digits")
		c.pinBlock(r)
		c.number(2, 10, "PIN block format of 2 digits")
	case hsm.GenerateKey:
		// Whether a second key follows shows in what six digits do not fill.
		r.Key = c.key("key under the LMK")
		if c.left() > 6 && c.b[c.at+6] != trailerMark {
			r.Export = c.key("key under the terminal master key")
		}
		c.hex(r.KCV[:3], "check value of 6 hexadecimal digits")
	case hsm.CheckValue:
		r.KCV = c.hex8("check value of 16 hexadecimal digits")
	case hsm.Diagnose:
		r.KCV = c.hex8("LMK check value of 16 hexadecimal digits")
		copy(r.Text[:], c.take(len(r.Text), "firmware number of 9 characters"))
	}
	c.end()
	if c.failed() {
		return header, fmt.Errorf("%w (response %s)", c.fault("response"), what)
	}
	return header, nil
}

// readMAC tells the two sizes apart by what is there: 8 characters are field 64
// as UnionPay sends it, 16 are the digits of 8 bytes.
func (d *Dialect) readMAC(c *cursor, r *hsm.Reply) {
	if d.MACLength {
		c.number(4, 16, "length of 4 digits")
	}
	if c.fields() == 16 {
		r.MAC = c.hex8("MAC of 16 hexadecimal digits")
		return
	}
	at := c.at
	var four [4]byte
	c.hex(four[:], "MAC of 8 or 16 hexadecimal digits")
	if !c.failed() {
		copy(r.MAC[:], c.b[at:])
	}
}

// pinBlock tells the two sizes apart by what is there, the format of two digits
// behind them.
func (c *cursor) pinBlock(r *hsm.Reply) {
	if c.fields() != 32+2 {
		r.PIN = c.hex8("PIN block of 16 hexadecimal digits")
		return
	}
	var wide [16]byte
	c.hex(wide[:], "PIN block of 32 hexadecimal digits")
	r.Out = string(wide[:])
}

// fields is how much is left in front of a trailer.
func (c *cursor) fields() int {
	for i := range c.left() {
		if c.b[c.at+i] == trailerMark {
			return i
		}
	}
	return c.left()
}

var responses = [...]string{
	hsm.VerifyMAC: "M9", hsm.MakeMAC: "M7", hsm.TranslatePIN: "CB",
	hsm.GenerateKey: "A1", hsm.CheckValue: "BV", hsm.Diagnose: "ND",
}

// responseTo checks the response code. PIN blocks of zones and of terminals with DUKPT
// are translated by commands of their own.
func (c *cursor) responseTo(verb hsm.Verb, got []byte) {
	if c.failed() {
		return
	}
	if int(verb) < len(responses) && string(got) == responses[verb] {
		return
	}
	if verb == hsm.TranslatePIN && (string(got) == "CD" || string(got) == "G1") {
		return
	}
	c.at -= 2
	c.fail(hsm.BadInput, "another response code")
}
