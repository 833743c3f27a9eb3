package tdes

import "math/bits"

// tables is what the assembly works by; it knows the fields by their order.
type tables struct {
	// boxes are the substitutions by the six bits as they come: of the boxes for the
	// low nibbles of the 32 bits between substitution and permutation, from the lowest
	// byte up, then of those for the high ones.
	boxes [2][4][64]byte
	// turns is the permutation, as matrices of 8 by 8 bits: turns[0][d] makes of
	// byte (p+d) mod 4 its share of byte p, for the 16 lanes at 16*p;
	// turns[1] does so for the half turned right by four, which is what the odd
	// boxes want. Their sum over d is the whole.
	turns [2][4][8]uint64
	// slice brings byte p of lane i from 4*i+p, where words have it, to 16*p+i; words
	// brings it back.
	slice, words [64]byte
}

// wideTables are 1.2 KB, made once.
var wideTables = makeTables()

func makeTables() (t tables) {
	for p := range 4 {
		for six := range 64 {
			row, column := six>>4&2|six&1, six>>1&15
			t.boxes[0][p][six] = substitution[7-2*p][16*row+column]
			t.boxes[1][p][six] = substitution[6-2*p][16*row+column] << 4
		}
		for lane := range Lanes {
			t.slice[16*p+lane] = byte(4*lane + p)
			t.words[4*lane+p] = byte(16*p + lane)
		}
	}
	for d := range 4 {
		for p := range 4 {
			for half, turn := range [2]int{1, 1 - 4} {
				m := matrix((p+d)%4, p, turn)
				t.turns[half][d][2*p], t.turns[half][d][2*p+1] = m, m
			}
		}
	}
	return t
}

// matrix is what the permutation, then turned left, makes of one byte for another
// (0 is the lowest), in the form of GF2P8AFFINEQB: the row of bit i is byte 7-i.
func matrix(from, to, turn int) (m uint64) {
	for bit := range 8 {
		in := uint64(1) << (8*from + bit)
		out := bits.RotateLeft32(uint32(permute(in, 32, permutation[:])), turn) >> (8 * to)
		for i := range 8 {
			m |= uint64(out>>i&1) << (8*(7-i) + bit)
		}
	}
	return m
}
