package soft

import (
	"tongka/hsm"
	"tongka/hsm/clear"
)

// name is what an expanded key is kept by: 28 bytes without a gap.
type name struct {
	key hsm.Key
	t   hsm.KeyType
}

type slot struct {
	name name
	c    *clear.Cipher
	used bool // since the clock's hand last passed
}

// cache keeps the expanded keys of the last uses: to unwrap and expand one costs
// more than a MAC. It holds at most max slots; then a clock hand chooses whom to forget, so
// that keys in use survive a run of keys that are asked for once.
type cache struct {
	at    map[name]uint32
	slots []slot
	max   int
	hand  int
}

// get looks where the hint points before it looks anywhere else.
func (c *cache) get(n *name, hint *uint32) *clear.Cipher {
	if hint != nil && int(*hint) < len(c.slots) {
		if s := &c.slots[*hint]; s.name == *n {
			s.used = true
			return s.c
		}
	}
	i, ok := c.at[*n]
	if !ok {
		return nil
	}
	if hint != nil {
		*hint = i
	}
	c.slots[i].used = true
	return c.slots[i].c
}

// put keeps a key that get did not find. The hand clears marks as it passes, so
// it stops after one round at most.
func (c *cache) put(n *name, ciph *clear.Cipher) (at uint32) {
	if len(c.slots) < c.max {
		at = uint32(len(c.slots))
		c.at[*n] = at
		c.slots = append(c.slots, slot{name: *n, c: ciph})
		return at
	}
	for c.slots[c.hand].used {
		c.slots[c.hand].used = false
		c.hand = (c.hand + 1) % c.max
	}
	s := &c.slots[c.hand]
	delete(c.at, s.name)
	*s = slot{name: *n, c: ciph}
	at = uint32(c.hand)
	c.at[*n] = at
	c.hand = (c.hand + 1) % c.max
	return at
}

// keyBytes is what one kept key costs: the cipher with
// its schedules, its slot and its share of the index.
const keyBytes = 416 + 48 + 64

// cipher gives the expanded key, from the cache or by unwrapping it.
func (m *Module) cipher(t hsm.KeyType, k *hsm.Key, hint *uint32) (*clear.Cipher, hsm.Code) {
	m.name = name{key: *k, t: t}
	if c := m.cache.get(&m.name, hint); c != nil {
		return c, hsm.Done
	}
	if k.Scheme == hsm.SM4Scheme {
		return nil, hsm.BadKey // it is no key for DES
	}
	var own [24]byte
	if code := m.open(t, k, &own); !code.OK() {
		return nil, code
	}
	c, err := clear.NewCipher(own[:k.N])
	own = [24]byte{}
	if err != nil {
		return nil, hsm.BadKeyLength
	}
	at := m.cache.put(&m.name, c)
	if hint != nil {
		*hint = at
	}
	return c, hsm.Done
}
