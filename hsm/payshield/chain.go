package payshield

import (
	"fmt"

	"tongka/hsm"
)

// maxChain is how many commands NK can count.
const maxChain = 99

// AppendChain appends NK with the commands given, each as Append or AppendCall makes
// it, its header included: one round trip for all of them.
func (d *Dialect) AppendChain(dst []byte, header uint32, commands ...[]byte) ([]byte, error) {
	start := len(dst)
	dst, err := d.appendHeader(dst, header)
	if err == nil && (len(commands) == 0 || len(commands) > maxChain) {
		err = fmt.Errorf("payshield: NK: %d commands, not 1 to %d: %w", len(commands), maxChain, badCount)
	}
	if err != nil {
		return dst[:start], err
	}
	dst = append2(append(dst, "NK1"...), len(commands))
	for i, c := range commands {
		if len(c) < d.width()+2 || len(c) > 9999 {
			return dst[:start], fmt.Errorf("payshield: NK: command %d of %d bytes: %w", i+1, len(c), hsm.BadDataLength)
		}
		dst = append(append4(dst, len(c)), c...)
	}
	return dst, nil
}

// ParseChain takes the response to a chain apart: each part is a response as Parse and
// ParseCall read it, lent from the frame. The error names the byte.
func (d *Dialect) ParseChain(frame []byte) (header uint32, parts [][]byte, result hsm.Code, err error) {
	c := cursor{b: frame}
	header = c.header(d.width())
	if got := c.take(2, "response code"); got != nil && string(got) != "NL" {
		c.at -= 2
		c.fail(hsm.BadInput, "the response code to NK")
	}
	if e := c.take(2, "error code"); e != nil {
		result = hsm.Code(e)
	}
	if !result.OK() {
		return header, nil, result, c.fault("response to NK")
	}
	n := c.number(2, 10, "number of responses")
	for i := uint32(0); i < n && !c.failed(); i++ {
		size := c.number(4, 10, "length of 4 digits")
		parts = append(parts, c.take(int(size), "a response as long as its length says"))
	}
	c.end()
	if c.failed() {
		parts = nil
	}
	return header, parts, result, c.fault("response to NK")
}
