package clear

import "tongka/hsm"

// MAC is Cipher.MAC for a key that is used once.
func MAC(alg hsm.MACAlg, key, data []byte) ([8]byte, error) {
	c, err := NewCipher(key)
	if err != nil {
		return [8]byte{}, err
	}
	return c.MAC(alg, data), nil
}

// KCV is Cipher.KCV for a key that is used once.
func KCV(key []byte) ([8]byte, error) {
	c, err := NewCipher(key)
	if err != nil {
		return [8]byte{}, err
	}
	return c.KCV(), nil
}

// DecryptKey decrypts a working key that came under a terminal or zone master
// key, as field 62 of a sign-in answer carries it.
func DecryptKey(master, enc []byte) ([]byte, error) {
	c, err := NewCipher(master)
	if err != nil {
		return nil, err
	}
	return c.AppendDecrypted(make([]byte, 0, len(enc)), enc)
}

// EncryptPIN is Cipher.EncryptPIN for a key that is used once.
func EncryptPIN(key, pin []byte, pan12 *[12]byte, f hsm.PINFormat) ([8]byte, error) {
	c, err := NewCipher(key)
	if err != nil {
		return [8]byte{}, err
	}
	return c.EncryptPIN(pin, pan12, f)
}

// DecryptPIN is Cipher.DecryptPIN for a key that is used once.
func DecryptPIN(key []byte, block [8]byte, pan12 *[12]byte, f hsm.PINFormat) ([]byte, error) {
	c, err := NewCipher(key)
	if err != nil {
		return nil, err
	}
	pin, n, err := c.DecryptPIN(block, pan12, f)
	return pin[:n:n], err
}
