// Package payshield speaks payShield host commands: a Dialect builds the command
// for an hsm.Request and reads its response, a Server answers commands with a
// module in software. A frame here is what follows the two-byte length, which
// conn adds and takes off. Source: payShield 9000/10K host command reference.
//
//	command   header | code 2 | fields | [%nn] | [X'19' trailer]
//	response  header | code 2 | error 2 | fields | [X'19' trailer]
package payshield

import (
	"errors"
	"fmt"
	"strings"

	"tongka/hsm"
)

// Dialect is how a module is set up. The zero value is a module with headers of
// 8 characters and one LMK.
type Dialect struct {
	// HeaderLen is the number of characters before the command, 1 to 255, as
	// configured in the module; 0 means 8.
	HeaderLen int
	// LMK is the two digits of the LMK to work under (%nn); empty for the
	// module's default.
	LMK string
	// MACLength says that M7 has a four-digit length before the MAC, as some
	// simulators send it and no manual has it.
	MACLength bool
	// SM4Keys says that S and 32 digits is an SM4 key, as Chinese modules write it,
	// and that the module has no key blocks of its own.
	SM4Keys bool

	own map[[2]byte]*command // commands that differ from the manual, or go beyond it
}

// hexHeader is the width that holds every header number.
const hexHeader = 8

// Validate reports every fault.
func (d *Dialect) Validate() error {
	var errs []error
	if d.HeaderLen < 0 || d.HeaderLen > 255 {
		errs = append(errs, fmt.Errorf("payshield: header of %d characters, not 1 to 255", d.HeaderLen))
	}
	if d.LMK != "" && (len(d.LMK) != 2 || strings.Trim(d.LMK, "0123456789") != "") {
		errs = append(errs, fmt.Errorf("payshield: LMK %q is not two digits", d.LMK))
	}
	return errors.Join(errs...)
}

func (d *Dialect) width() int {
	if d.HeaderLen == 0 {
		return hexHeader
	}
	return d.HeaderLen
}

// Header reads the number that Append wrote: what finds the request that a
// response belongs to. Modules promise no order, so position must not do that.
func (d *Dialect) Header(frame []byte) (uint32, error) {
	c := cursor{b: frame}
	h := c.header(d.width())
	return h, c.fault("header")
}

func (d *Dialect) appendHeader(dst []byte, h uint32) ([]byte, error) {
	w := d.width()
	if w < hexHeader && h>>(4*w) != 0 {
		return dst, fmt.Errorf("payshield: header %X does not fit %d characters: %w", h, w, hsm.BadInput)
	}
	for i := w - 1; i >= 0; i-- {
		digit := byte('0')
		if i < hexHeader {
			digit = upper[h>>(4*i)&15]
		}
		dst = append(dst, digit)
	}
	return dst, nil
}

const upper = "0123456789ABCDEF"
