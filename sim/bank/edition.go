package bank

import (
	"tongka/codec/iso8583"
)

// older reads a message of 1993 and gives it as the card centre would send it.
func (c *bankConn) older(frame []byte) ([]byte, error) {
	if err := c.bank.other.New.Parse(&c.wire, frame); err != nil {
		return nil, err
	}
	return c.bank.other.Hear(&c.wire)
}

// newer makes the message behind the length at c.out[from:] one of 1993.
func (c *bankConn) newer(from int) error {
	var v iso8583.View
	if err := iso8583.Cups().Parse(&v, c.out[from+4:]); err != nil {
		return err
	}
	msg, err := c.bank.other.Ask(&v, c.now)
	if err != nil {
		c.out = c.out[:from]
		return err
	}
	c.out = append(c.out[:from+4], msg...)
	return nil
}
