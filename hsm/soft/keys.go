package soft

import (
	"fmt"

	"tongka/hsm"
)

// Wrap puts a clear key of 8, 16 or 24 bytes under the LMK: the way in for
// development and tests. Parity is forced, which changes no result. Clear keys
// go in here and nowhere come out.
func (m *Module) Wrap(t hsm.KeyType, key []byte) (hsm.Key, error) {
	var own [24]byte
	scheme := schemeFor(len(key))
	if scheme == 0 {
		return hsm.Key{}, fmt.Errorf("wrap: a DES key has 8, 16 or 24 bytes, not %d: %w", len(key), hsm.BadKeyLength)
	}
	odd := own[:copy(own[:], key)]
	forceParity(odd)
	k, code := m.seal(t, scheme, odd)
	own = [24]byte{}
	if !code.OK() {
		return hsm.Key{}, fmt.Errorf("wrap: key type %03X: %w", uint16(t), code)
	}
	return k, nil
}

// WrapSM4 is Wrap for an SM4 key.
func (m *Module) WrapSM4(t hsm.KeyType, key []byte) (hsm.Key, error) {
	if len(key) != 16 {
		return hsm.Key{}, fmt.Errorf("wrap: an SM4 key has 16 bytes, not %d: %w", len(key), hsm.BadKeyLength)
	}
	k, code := m.seal(t, hsm.SM4Scheme, key)
	if !code.OK() {
		return hsm.Key{}, fmt.Errorf("wrap: key type %03X: %w", uint16(t), code)
	}
	return k, nil
}

// Export takes a key from the LMK to a master key (of type masterType, under the
// LMK), written in the given scheme.
func (m *Module) Export(t hsm.KeyType, k *hsm.Key, masterType hsm.KeyType, master *hsm.Key, scheme byte) (hsm.Key, hsm.Code) {
	var under, own [24]byte
	defer func() { under, own = [24]byte{}, [24]byte{} }()
	if code := m.open(masterType, master, &under); !code.OK() {
		return hsm.Key{}, code
	}
	if code := m.open(t, k, &own); !code.OK() {
		return hsm.Key{}, asSecond(code)
	}
	if lengthOf(scheme) == 0 {
		return hsm.Key{}, hsm.BadScheme
	}
	return wrapUnder(under[:master.N], scheme, own[:k.N])
}

// Import takes a key from a master key to the LMK. Parity that is wrong is
// forced: the code is then Mismatch, and the key is good all the same (payShield
// command A6).
func (m *Module) Import(t hsm.KeyType, enc *hsm.Key, masterType hsm.KeyType, master *hsm.Key, scheme byte) (hsm.Key, hsm.Code) {
	var under, own [24]byte
	defer func() { under, own = [24]byte{}, [24]byte{} }()
	if code := m.open(masterType, master, &under); !code.OK() {
		return hsm.Key{}, code
	}
	if code := unwrapUnder(under[:master.N], enc, &own); !code.OK() {
		return hsm.Key{}, code
	}
	if lengthOf(scheme) == 0 {
		return hsm.Key{}, hsm.BadScheme
	}
	forced := forceParity(own[:enc.N])
	k, code := m.seal(t, scheme, own[:enc.N])
	if code.OK() && forced {
		code = hsm.Mismatch
	}
	return k, code
}

// CheckValue is E(key, 8 zero bytes).
func (m *Module) CheckValue(t hsm.KeyType, k *hsm.Key) ([8]byte, hsm.Code) {
	if k.Scheme == hsm.SM4Scheme {
		s, code := m.revealKey(t, k)
		if !code.OK() {
			return [8]byte{}, code
		}
		return [8]byte(s.kcv()), hsm.Done
	}
	c, code := m.cipher(t, k, nil)
	if !code.OK() {
		return [8]byte{}, code
	}
	return c.KCV(), hsm.Done
}

// Chain continues an X9.9 or X9.19 code over whole blocks (clear.Cipher.Chain),
// for host commands that send a message in parts.
func (m *Module) Chain(t hsm.KeyType, k *hsm.Key, alg hsm.MACAlg, iv [8]byte, data []byte, last bool) ([8]byte, hsm.Code) {
	if alg == hsm.X919 && k.N != 16 {
		return iv, hsm.BadKeyLength
	}
	c, code := m.cipher(t, k, nil)
	if !code.OK() {
		return iv, code
	}
	return c.Chain(alg, iv, data, last), hsm.Done
}

// asSecond turns the code of a fault in the source key into that of the second.
func asSecond(code hsm.Code) hsm.Code {
	if code == hsm.BadKey {
		return hsm.BadKey2
	}
	return code
}
