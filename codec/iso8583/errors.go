package iso8583

import (
	"fmt"
	"strconv"
)

// Reason says what is wrong at the place that a FieldError names.
type Reason uint8

// Reasons, with the meaning of Want and Got.
const (
	Truncated      Reason = iota + 1 // Want bytes, Got bytes are left
	Trailing                         // Got bytes follow the last field
	BadDigit                         // Got is the byte where a decimal digit belongs
	BadTrack                         // Got is the byte where a digit or a separator belongs
	BadHex                           // Got is the byte where a hexadecimal digit belongs
	BadPad                           // Got is the byte whose pad nibble is neither 0 nor F
	BadPrefix                        // Got is the byte of the length that is no digit
	TooLong                          // Want is the greatest length, Got the length
	WrongLength                      // Want is the only length, Got the length
	NotInDialect                     // the bitmap or the caller names a field that the dialect has not
	SecondBitmap                     // bit 1 is set in a dialect of 64 fields
	OutOfOrder                       // builder: Want is the field put before
	UnexpectedByte                   // Want is the byte, Got what is there
	Unfit                            // Want is the Check that the value does not pass
	WrongTotal                       // Want is the length that is there, Got the length that is claimed
)

// Places that are no field. Field 0 is the MTI and field 1 the bitmap.
const (
	InLength = -1 - iota // the frame's length prefix
	InTPDU
	InLRI
	InHeader
)

// FieldError names what cannot be read or written, and where. Offset counts
// bytes from the MTI, or from the start of the frame when Split returned it.
type FieldError struct {
	Field  int
	Offset int
	Reason Reason
	Want   int
	Got    int
}

// Error is one line for a log. It shows at most one byte of the message, and
// never a part of a card number longer than two digits.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s at byte %d: expected %s", e.Place(), e.Offset, e.expected())
}

// Place is the field's name in messages: F62, MTI, bitmap, header.
func (e *FieldError) Place() string {
	switch e.Field {
	case 0:
		return "MTI"
	case 1:
		return "bitmap"
	case InLength:
		return "length prefix"
	case InTPDU:
		return "TPDU"
	case InLRI:
		return "LRI"
	case InHeader:
		return "header"
	}
	return "F" + strconv.Itoa(e.Field)
}

func (e *FieldError) expected() string {
	switch e.Reason {
	case Truncated:
		return fmt.Sprintf("%d bytes, %d are left", e.Want, e.Got)
	case Trailing:
		return fmt.Sprintf("the end of the message, %d more bytes follow", e.Got)
	case BadDigit:
		return fmt.Sprintf("decimal digits, found %02X", e.Got)
	case BadTrack:
		return fmt.Sprintf("track digits and separators (0-9 D =), found %02X", e.Got)
	case BadHex:
		return fmt.Sprintf("hexadecimal digits, found %02X", e.Got)
	case BadPad:
		return fmt.Sprintf("a pad nibble 0 or F, found %02X", e.Got)
	case BadPrefix:
		return fmt.Sprintf("a length in digits, found %02X", e.Got)
	case TooLong:
		return fmt.Sprintf("a length of at most %d, found %d", e.Want, e.Got)
	case WrongLength:
		return fmt.Sprintf("a length of %d, found %d", e.Want, e.Got)
	case NotInDialect:
		return "no such field in this dialect"
	case SecondBitmap:
		return "bit 1 clear: this dialect has 64 fields"
	case OutOfOrder:
		return fmt.Sprintf("a field above %d", e.Want)
	case UnexpectedByte:
		return fmt.Sprintf("%02X, found %02X", e.Want, e.Got)
	case Unfit:
		return fmt.Sprintf("a value that passes the check %s", Check(e.Want))
	case WrongTotal:
		return fmt.Sprintf("a total length of %d, found %d", e.Want, e.Got)
	}
	return "something else"
}
