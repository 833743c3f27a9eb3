package bank

import (
	"tongka/codec/iso8583"
	"tongka/hsm/clear"
)

// older reads a message of 1993 and gives it as the card centre would send it.
func (c *bankConn) older(frame []byte) ([]byte, error) {
	if err := c.bank.other.New.Parse(&c.wire, frame); err != nil {
		return nil, err
	}
	return c.bank.other.Hear(&c.wire)
}

// newer makes the message behind the length at c.out[from:] one of 1993, with a
// MAC when there is a key for it.
func (c *bankConn) newer(from int, key *clear.Cipher) error {
	var v iso8583.View
	err := iso8583.Cups().Parse(&v, c.out[from+4:])
	var msg []byte
	if err == nil {
		msg, err = c.bank.other.Ask(&v, c.now)
	}
	if err == nil && key != nil {
		msg, err = c.bank.other.Seal(msg, func(covered []byte) []byte {
			mac := []byte(c.macOver(covered, key))
			if c.how.WrongMAC {
				mac[7] ^= 1
			}
			return mac
		})
	}
	if err != nil {
		c.out = c.out[:from]
		return err
	}
	c.out = append(c.out[:from+4], msg...)
	return nil
}
