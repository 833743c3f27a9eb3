package clear

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"tongka/hsm"
)

// Tree is the shape of the EMV 2000 key tree: below the card's key each level
// divides the counter's values by Branch, and Branch to the power of Height leaves hold
// all of them. Source: EMV 2000 (4.0) book 2, annex A1.3.
type Tree struct {
	Branch, Height int
	IV             [16]byte // the parent of the card's key; zeros for all known schemes
}

// Trees that issuers use; both have 65,536 leaves.
var (
	BinaryTree = Tree{Branch: 2, Height: 16}
	WideTree   = Tree{Branch: 4, Height: 8}
)

// TreeSession gives the session key of a counter: its leaf, XORed with the key two
// levels above. Each key is its parent's encryption of its grandparent, into which
// the number of the branch was mixed.
func TreeSession(card []byte, t *Tree, atc uint16) ([]byte, error) {
	if len(card) != 16 || t.Branch < 2 || t.Branch > 256 || t.Height < 2 || t.Height > 16 {
		return nil, fmt.Errorf("key tree: branch %d, height %d, card key of %d bytes: %w", t.Branch, t.Height, len(card), hsm.BadInput)
	}
	// divide[i] is the counter's value at level i.
	divide := make([]int, t.Height+1)
	divide[t.Height] = int(atc)
	for i := t.Height; i > 1; i-- {
		divide[i-1] = divide[i] / t.Branch
	}
	grand, parent := t.IV[:], card
	var above []byte
	for i := 1; i <= t.Height; i++ {
		b, err := NewBlock(DES, parent)
		if err != nil {
			return nil, err
		}
		mixed := append([]byte(nil), grand...)
		j := byte(divide[i] % t.Branch)
		mixed[7] ^= j
		mixed[15] ^= j ^ 0xF0
		above, grand, parent = grand, parent, ECB(b, mixed, false)
	}
	subtle.XORBytes(parent, parent, above)
	return oddParity(parent), nil
}

// VisaScriptSession is the key of Visa's issuer scripts: the counter XORed into the
// left half's end and its complement into the right one's.
func VisaScriptSession(card []byte, atc uint16) ([]byte, error) {
	if len(card) != 16 {
		return nil, fmt.Errorf("script key: a card key of %d bytes: %w", len(card), hsm.BadKeyLength)
	}
	key := append([]byte(nil), card...)
	binary.BigEndian.PutUint16(key[6:], binary.BigEndian.Uint16(key[6:])^atc)
	binary.BigEndian.PutUint16(key[14:], binary.BigEndian.Uint16(key[14:])^^atc)
	return oddParity(key), nil
}

// CVN is a Visa cryptogram version number, which says how a cryptogram is made.
type CVN uint8

// VisaCryptogram makes the cryptogram of version 10, 17 (card key itself, zero
// fill), 14 (key tree) or 18 (common session key), both filled with 80. No public
// example of version 14 is known: it is the tree of a captured command with the fill of
// its time.
func VisaCryptogram(v CVN, card []byte, atc [2]byte, data []byte) ([8]byte, error) {
	var (
		session []byte
		err     error
	)
	switch v {
	case 10, 17:
		return Cryptogram(card, data, 1)
	case 14:
		session, err = TreeSession(card, &WideTree, binary.BigEndian.Uint16(atc[:]))
	case 18:
		session, err = CommonSession(card, [8]byte{atc[0], atc[1]})
	default:
		err = fmt.Errorf("cryptogram version %d: %w", v, hsm.BadInput)
	}
	if err != nil {
		return [8]byte{}, err
	}
	return Cryptogram(session, data, 2)
}
