package ledger

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"tongka/clearing/day"
	"tongka/clearing/reserve"
	"tongka/keyfile"
)

// Statement is a closed day of all accounts.
type Statement struct {
	Date     day.Date            `json:"date"`
	Accounts []reserve.Statement `json:"accounts"`
	Previous string              `json:"previous"` // SHA-256 of the statement of the day before
}

// Signed is a statement as it is published.
type Signed struct {
	Statement json.RawMessage `json:"statement"`
	SHA256    string          `json:"sha256"`    // of the statement's bytes
	Algorithm string          `json:"algorithm"` // hmac-sha256 or ed25519
	Key       string          `json:"key"`       // which: first bytes of a digest
	Signature string          `json:"signature"` // over the digest's bytes, hex
}

func (s *Statement) digest() (string, error) {
	b, err := json.Marshal(s)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

// Key signs or verifies statements: an Ed25519 key of PKCS #8 or PKIX in PEM, or 32
// bytes in hex for an HMAC.
type Key struct {
	private ed25519.PrivateKey
	public  ed25519.PublicKey
	secret  []byte
}

// LoadKey reads a key. make makes an HMAC key where no file is.
func LoadKey(path string, make bool) (*Key, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		if block, _ := pem.Decode(b); block != nil {
			return fromPEM(path, block)
		}
	} else if !make || !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("签名密钥 · signing key: %w", err)
	}
	k, err := keyfile.Load(path, make)
	if err != nil {
		return nil, fmt.Errorf("签名密钥 · signing key: %w", err)
	}
	return &Key{secret: k[:]}, nil
}

func fromPEM(path string, block *pem.Block) (*Key, error) {
	if k, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		if pub, ok := k.(ed25519.PublicKey); ok {
			return &Key{public: pub}, nil
		}
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := k.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("%s: 须为 Ed25519 密钥 · an Ed25519 key is wanted", path), err)
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s 他人可读 · is open to others: chmod 600", path)
	}
	return &Key{private: private, public: private.Public().(ed25519.PublicKey)}, err
}

// Sign signs a statement.
func (k *Key) Sign(s *Statement) (*Signed, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	out := &Signed{Statement: b, SHA256: hex.EncodeToString(sum[:])}
	switch {
	case k.private != nil:
		out.Signature = hex.EncodeToString(ed25519.Sign(k.private, sum[:]))
	case k.secret != nil:
		out.Signature = hex.EncodeToString(k.mac(sum[:]))
	default:
		return nil, errors.New("公钥不能签名 · a public key does not sign")
	}
	out.Algorithm, out.Key = k.name()
	return out, nil
}

func (k *Key) mac(b []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write(b)
	return h.Sum(nil)
}

// name says which key it is, and shows nothing of a secret one.
func (k *Key) name() (algorithm, key string) {
	if k.public != nil {
		sum := sha256.Sum256(k.public)
		return "ed25519", hex.EncodeToString(sum[:4])
	}
	return "hmac-sha256", hex.EncodeToString(k.mac([]byte("name"))[:4])
}

// Check reads a published statement: its digest, its signature, and every equation in
// it.
func (k *Key) Check(b []byte) (*Statement, error) {
	var s Signed
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	var st Statement
	if err := json.Unmarshal(s.Statement, &st); err != nil {
		return nil, err
	}
	digest, err := st.digest()
	if err != nil {
		return nil, err
	}
	sum, _ := hex.DecodeString(digest)
	signature, err := hex.DecodeString(s.Signature)
	algorithm, key := k.name()
	valid := false
	if k.public != nil {
		valid = ed25519.Verify(k.public, sum, signature)
	} else {
		valid = hmac.Equal(k.mac(sum), signature)
	}
	switch {
	case err != nil || digest != s.SHA256 || !valid || s.Algorithm != algorithm:
		return nil, fmt.Errorf("%s: 签名或摘要不符（密钥 %s，应为 %s）· digest or signature does not fit (key %s, here %s)", st.Date, s.Key, key, s.Key, key)
	}
	for i := range st.Accounts {
		if !st.Accounts[i].Balanced() {
			return nil, fmt.Errorf("%s %s: 日终等式不成立 · the day does not add up", st.Date, st.Accounts[i].Account)
		}
	}
	return &st, nil
}
