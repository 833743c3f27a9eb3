package node

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/payshield"
	"tongka/keyfile"
)

// Key files of the journal may be wrapped: a data encryption key under the LMK, and
// the journal's key under that one. They are opened before the stores are, so before
// there is an engine: by a connection for this alone, and only when such a file is
// met.

// askWithin is how long a module may take, connecting included: it is asked once
// at a start, where nobody waits in a hurry.
const askWithin = 5 * time.Second

// KeyCheck is the check value of the key under which all of the journal lies while this
// node runs: opening takes what lay under earlier ones to it. Who follows needs it.
func (n *Node) KeyCheck() [keyfile.CheckSize]byte { return keyfile.Check(&n.masterKey) }

// OpenKey gives what has a wrapped key file opened by the module of a config.
func OpenKey(cfg *config.Config) keyfile.Opener {
	return func(w *keyfile.Wrapped) (key [32]byte, err error) {
		r, err := askModule(cfg, &hsm.Request{Verb: hsm.DecryptData, Type: hsm.DEK, Data: w.Sealed[:],
			More: &hsm.More{Key: w.DEK, IV: w.IV}})
		if err == nil && len(r.Out) != len(key) {
			err = fmt.Errorf("%d 字节 · %d bytes: want %d", len(r.Out), len(r.Out), len(key))
		}
		if err != nil {
			return key, fmt.Errorf("加密机未能打开密钥 · the module did not open the key: %w", err)
		}
		return [32]byte([]byte(r.Out)), nil
	}
}

// WrapKey draws a key, and has the module of a config make a data encryption key and
// put it under that.
func WrapKey(cfg *config.Config) (*keyfile.Wrapped, error) {
	var key [32]byte
	var more hsm.More
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	if _, err := rand.Read(more.IV[:]); err != nil {
		return nil, err
	}
	dek, err := askModule(cfg, &hsm.Request{Verb: hsm.GenerateKey, Type: hsm.DEK, Len: 16})
	if err != nil {
		return nil, fmt.Errorf("加密机未能产生 DEK · the module made no DEK: %w", err)
	}
	w := &keyfile.Wrapped{DEK: dek.Key.String(), IV: more.IV, Check: keyfile.Check(&key)}
	more.Key = w.DEK
	r, err := askModule(cfg, &hsm.Request{Verb: hsm.EncryptData, Type: hsm.DEK, Data: key[:], More: &more})
	if err == nil && len(r.Out) != len(w.Sealed) {
		err = fmt.Errorf("%d 字节 · %d bytes: want %d", len(r.Out), len(r.Out), len(w.Sealed))
	}
	if err != nil {
		return nil, fmt.Errorf("加密机未能加密 · the module did not encrypt: %w", err)
	}
	copy(w.Sealed[:], r.Out)
	// What cannot be opened again must not seal anything.
	back, err := OpenKey(cfg)(w)
	if err == nil && back != key {
		err = errors.New("加密机打开的不是所加密的 · what the module opens is not what it encrypted")
	}
	return w, err
}

// askModule puts one command to the module in the process, or to the first behind a
// socket that does it.
func askModule(cfg *config.Config, q *hsm.Request) (r hsm.Reply, err error) {
	if cfg.HSM.Mode == "soft" {
		m, err := SoftModule(cfg)
		if err != nil {
			return r, err
		}
		if m.Do(q, &r); !r.Code.OK() {
			return r, r.Code
		}
		return r, nil
	}
	d, err := HSMDialect(&cfg.HSM)
	if err != nil {
		return r, err
	}
	var failed error
	for _, address := range cfg.HSM.Addresses {
		r, err := askAt(address, &d, q)
		if err == nil {
			return r, nil
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", address, err))
	}
	return r, failed
}

func askAt(address string, d *payshield.Dialect, q *hsm.Request) (r hsm.Reply, err error) {
	frame, err := d.Append(make([]byte, 2), 1, q)
	if err != nil {
		return r, err
	}
	binary.BigEndian.PutUint16(frame, uint16(len(frame)-2))
	c, err := net.DialTimeout("tcp", address, askWithin)
	if err != nil {
		return r, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(askWithin)); err != nil {
		return r, err
	}
	if _, err := c.Write(frame); err != nil {
		return r, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return r, err
	}
	frame = make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, frame); err != nil {
		return r, err
	}
	header, err := d.Parse(frame, q.Verb, &r)
	switch {
	case err != nil:
		return r, err
	case header != 1:
		return r, fmt.Errorf("应答头 %d 无人等待 · an answer with header %d, which nobody waits for", header, header)
	case !r.Code.OK():
		return r, r.Code
	}
	return r, nil
}
