// Package hsm is what the switch asks of a security module, as values. How a
// module is reached is not said here: hsm/payshield speaks host commands to one
// behind a socket, hsm/soft answers in the process.
package hsm

// Verb is one thing that a module can be asked to do.
type Verb uint8

// Verbs. Each is one host command (hsm/payshield says which).
const (
	None         Verb = iota
	VerifyMAC         // Key (TAK unless Type says ZAK), Alg, Data, MAC → Code
	MakeMAC           // Key, Type, Alg, Data → MAC
	TranslatePIN      // Key (TPK unless Type says ZPK), Key2 (ZPK), PIN, formats, PAN12 → PIN; with More: ISO4, DUKPT
	GenerateKey       // Type, Len, Key (the TMK to export under, or none) → Key, Export, KCV (first 3 bytes)
	CheckValue        // Type, Key → KCV (8 bytes of E(key, 0))
	Diagnose          // → KCV (LMK check value), Text (firmware)

	// What is asked for less often also looks at Request.More.
	VerifyMAC1   // Key (load key of cards), More.Card, MAC[:4] → Code
	MakeMAC2     // Key (load key of cards), More.Card → MAC[:4]
	VerifyTAC    // Key (TAC key of cards), More.Card, MAC[:4] → Code
	ImportKey    // Type, Key (ZMK; TMK without Zone), Key2 (under it) → Key, KCV (first 3 bytes)
	ExportKey    // Type, Key (ZMK; TMK without Zone), Key2 (under the LMK) → Export, KCV (first 3 bytes)
	VerifyPVV    // Type, Key (PIN key), Key2 (PVK), PIN, From, PAN12, More.Index, More.PVV → Code
	VerifyOffset // Type, Key (PIN key), Key2 (PVK), PIN, From, PAN12, More.Offset … → Code
	VerifyCVV    // Key (CVK), More.PAN, Expiry, Service, CVV → Code
	EncryptData  // Type (ZEK or DEK), Key, Data of whole blocks, More.IV (CBC) → Out
	DecryptData  // the same, back
	Random       // Len → Out
	Echo         // Data → Out: is anybody there

	verbs // how many there are
)

// Repeatable says that a verb may be put to a second module when the first did
// not answer: it changes nothing and gives the same everywhere. A generated key
// would be another one there, and nobody could say which of both is in use.
func (v Verb) Repeatable() bool { return v != GenerateKey && v != None && v < verbs }

// Manages says that a verb belongs to key management: rare, slow where RSA or a
// key pair is made, and never to stand in front of a sale.
func (v Verb) Manages() bool { return v == GenerateKey || v == ImportKey || v == ExportKey }

// MACAlg is the way a message authentication code is made.
type MACAlg uint8

// MAC algorithms. Source: UnionPay POS specification ("ECB": blocks XORed, then
// CBC over the 16 hex characters, answer in hex), ANSI X9.9 and X9.19; zero pad.
const (
	UnionPay MACAlg = iota
	X99
	X919
)

// PINFormat is a payShield PIN block format number, "01" for ISO 9564-1 format 0.
type PINFormat uint8

// KeyType is a payShield key type: it chooses the LMK pair and variant.
type KeyType uint16

// Key types, as the three hexadecimal digits of the host commands.
const (
	ZMK  KeyType = 0x000
	ZPK  KeyType = 0x001
	TMK  KeyType = 0x002 // TMK, TPK and PVK share one type
	TPK  KeyType = 0x002
	TAK  KeyType = 0x003
	ZAK  KeyType = 0x008
	BDK  KeyType = 0x009
	ZEK  KeyType = 0x00A
	DEK  KeyType = 0x00B
	MKAC KeyType = 0x109 // issuer's master keys of chip and purse cards
	CVK  KeyType = 0x402
)

// Key is a key under the LMK (or under a TMK where said), never in clear. It is
// comparable, so a module can keep expanded schedules by it. N is its length in
// bytes: 8, 16 or 24; 0 means no key. Scheme is 'U', 'T', 'X', 'Y' or 'Z' (no
// tag on the wire, single length). A key block does not fit: More.Key has room.
type Key struct {
	Scheme byte
	N      uint8
	B      [24]byte
}

// Request is one command. Data is lent until the reply.
type Request struct {
	Verb  Verb
	Alg   MACAlg
	From  PINFormat
	To    PINFormat
	Type  KeyType
	Len   uint8 // of the key to generate, in bytes: 8 or 16; 0 means 16
	Zone  bool  // Key is a zone master key, not a terminal's
	Key   Key
	Key2  Key
	PAN12 [12]byte
	PIN   [8]byte
	MAC   [8]byte // as F64 holds it: 8 hex characters for UnionPay, 8 bytes otherwise
	Data  []byte
	// Hint belongs to the module: where it keeps Key expanded. Who asks again and
	// again under one key keeps it with that key and saves a look-up; nil is fine.
	Hint *uint32
	More *More // nil for the verbs that do not look at it
}

// Code is a module's error code: two characters, never a number.
type Code [2]byte

// OK says that the command was done.
func (c Code) OK() bool { return c == Code{'0', '0'} }

// Reply is the answer to a Request; what a verb does not give stays zero.
type Reply struct {
	Code   Code
	MAC    [8]byte
	PIN    [8]byte
	KCV    [8]byte
	Key    Key // under the LMK
	Export Key // under the key that the request named
	Text   [9]byte
	Out    string // bytes of no fixed length; a string, so that replies compare
}

// Module answers at once, in the caller's goroutine. It allocates nothing for a
// key that it has seen before.
type Module interface {
	Do(q *Request, r *Reply)
	// DoAll does some that have nothing to do with each other; r is as long as q. Many
	// MACs together cost less than one after the other.
	DoAll(q []Request, r []Reply)
}

// Together is how many requests to put to Module.DoAll: more gain nothing.
const Together = 16
