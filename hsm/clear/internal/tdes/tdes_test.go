package tdes

import (
	"bytes"
	"crypto/cipher"
	"crypto/des"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// reference is the same key in crypto/des.
func reference(t testing.TB, key []byte) cipher.Block {
	t.Helper()
	var (
		c   cipher.Block
		err error
	)
	switch len(key) {
	case 8:
		c, err = des.NewCipher(key)
	case 16:
		c, err = des.NewTripleDESCipher(append(append([]byte(nil), key...), key[:8]...))
	default:
		c, err = des.NewTripleDESCipher(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func expanded(key []byte) *Key {
	k := new(Key)
	k.Expand(key)
	return k
}

func check(t *testing.T, key, other []byte, a, b uint64) {
	t.Helper()
	var in, out [8]byte
	binary.BigEndian.PutUint64(in[:], a)
	ref := reference(t, key)
	k, q := expanded(key), expanded(other)
	ref.Encrypt(out[:], in[:])
	want := binary.BigEndian.Uint64(out[:])
	if got := k.Encrypt(a); got != want {
		t.Fatalf("key %x block %016x: encrypted %016x, want %016x", key, a, got, want)
	}
	if got := k.Decrypt(want); got != a {
		t.Fatalf("key %x block %016x: decrypted %016x, want %016x", key, want, got, a)
	}
	one, two := EncryptPair(k, q, a, b)
	if one != want || two != q.Encrypt(b) {
		t.Fatalf("keys %x %x blocks %016x %016x: pair gives %016x %016x, want %016x %016x", key, other, a, b, one, two, want, q.Encrypt(b))
	}
}

func TestSameAsTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for range 3000 {
		check(t, bytesOf(8+8*r.IntN(3)), bytesOf(8+8*r.IntN(3)), r.Uint64(), r.Uint64())
	}
}

func FuzzSameAsTheStandardLibrary(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0x31}, 24), uint64(0), uint64(1))
	f.Fuzz(func(t *testing.T, key []byte, a, b uint64) {
		if len(key) < 24 {
			if new(Key).Expand(key) && len(key) != 8 && len(key) != 16 {
				t.Fatalf("a key of %d bytes was taken", len(key))
			}
			return
		}
		for _, n := range []int{8, 16, 24} {
			check(t, key[:n], key[24-n:24], a, b)
		}
	})
}

func TestOnlyTheLengthsOfKeys(t *testing.T) {
	for n := range 33 {
		if got, want := new(Key).Expand(make([]byte, n)), n == 8 || n == 16 || n == 24; got != want {
			t.Errorf("a key of %d bytes: taken %v, want %v", n, got, want)
		}
	}
}

// The round keys by their definition, bit by bit, are those that the tables make:
// each bit of a key alone, and keys of many bits.
func TestRoundKeysByTheStandard(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	keys := []uint64{0, ^uint64(0)}
	for bit := range 64 {
		keys = append(keys, 1<<bit, r.Uint64())
	}
	for _, key := range keys {
		x := permute(key, 64, choice1[:])
		c, d := x>>28, x&(1<<28-1)
		s := expand([8]byte(binary.BigEndian.AppendUint64(nil, key)))
		for i, n := range shifts {
			c, d = (c<<n|c>>(28-n))&(1<<28-1), (d<<n|d>>(28-n))&(1<<28-1)
			if got, want := uint64(s[2*i])<<32|uint64(s[2*i+1]), byBoxes(permute(c<<28|d, 56, choice2[:])); got != want {
				t.Fatalf("key %016x, round %d: %016x, want %016x", key, i+1, got, want)
			}
		}
	}
}

func BenchmarkExpand(b *testing.B) {
	key := []byte("0123456789abcdef")
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			reference(b, key)
		}
	})
	b.Run("own", func(b *testing.B) {
		k := new(Key)
		for b.Loop() {
			k.Expand(key)
		}
	})
}

func BenchmarkEncrypt(b *testing.B) {
	key := []byte("0123456789abcdef")
	k := expanded(key)
	ref := reference(b, key)
	b.Run("library", func(b *testing.B) {
		var x [8]byte
		for b.Loop() {
			ref.Encrypt(x[:], x[:])
		}
	})
	b.Run("one", func(b *testing.B) {
		var x uint64
		for b.Loop() {
			x = k.Encrypt(x)
		}
	})
	b.Run("pair", func(b *testing.B) {
		var x, y uint64 = 0, 1
		for b.Loop() {
			x, y = EncryptPair(k, k, x, y)
		}
	})
}
