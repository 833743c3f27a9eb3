package hsm

// More is what the verbs of a sale do not need. It is lent like Request.Data.
type More struct {
	Key  string // in place of Request.Key when that is empty: a key block, as host commands write it
	Key2 string // the same for Key2
	Card Card

	Block [16]byte // PIN block of ISO4 to translate; one that comes out is in Reply.Out
	KSN   []byte   // key serial number: 10 bytes when Key is a BDK for TDES, 12 for AES

	Index      byte     // PVK index, a digit
	PVV        [4]byte  // digits
	Offset     [12]byte // digits, filled with F
	CheckPIN   uint8    // digits of the PIN that the offset method checks at least
	Table      [16]byte // decimalisation table, digits
	Validation [12]byte // of the offset method; N stands for five account digits

	PAN, Expiry, Service []byte // digits
	CVV                  [3]byte

	Chained bool // CBC from IV; else ECB
	IV      [8]byte
	Out     []byte // the module appends what has no fixed length
}

// Checks says whether a key that was imported has the check value that came with
// it, of three bytes or of the four that sign-in messages carry.
func (r *Reply) Checks(value []byte) bool {
	return len(value) >= 3 && len(value) <= len(r.KCV) && string(r.KCV[:len(value)]) == string(value)
}
