package payshield

import (
	"fmt"

	"tongka/hsm"
)

// AppendCall appends any command of the table from its fields; Append does what
// the switch asks for at every sale. The error names the field.
func (d *Dialect) AppendCall(dst []byte, header uint32, code string, f *Fields) ([]byte, error) {
	c := d.named(code)
	if c == nil {
		return dst, fmt.Errorf("payshield: command %q: %w", code, hsm.Disabled)
	}
	start := len(dst)
	dst, err := d.appendHeader(dst, header)
	if err == nil {
		dst, err = f.write(append(dst, code...), c.request)
	}
	if err != nil {
		return dst[:start], fmt.Errorf("payshield: %s: %w", code, err)
	}
	if d.LMK != "" {
		dst = append(append(dst, '%'), d.LMK...)
	}
	return dst, nil
}

// ParseCall reads the response to a command of the table into the fields that it
// was made of, some of which say what comes back. They are lent from the frame.
func (d *Dialect) ParseCall(frame []byte, code string, f *Fields) (header uint32, result hsm.Code, err error) {
	cmd := d.named(code)
	if cmd == nil {
		return 0, result, fmt.Errorf("payshield: command %q: %w", code, hsm.Disabled)
	}
	c := cursor{b: frame, sm4: d.SM4Keys}
	header = c.header(d.width())
	if got := c.take(2, "response code"); got != nil && (got[0] != code[0] || got[1] != code[1]+1) {
		c.at -= 2
		c.fail(hsm.BadInput, "the response code to "+code)
	}
	if e := c.take(2, "error code"); e != nil {
		result = hsm.Code(e)
	}
	if !c.failed() && (result.OK() || cmd.warns && result == hsm.Mismatch) {
		c.read(cmd.response, f)
		c.end()
	}
	return header, result, c.fault("response to " + code)
}

func (d *Dialect) named(code string) *command {
	if len(code) != 2 {
		return nil
	}
	return d.command([2]byte([]byte(code)))
}
