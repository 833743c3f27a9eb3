package hsm

import "testing"

func TestCardKeysFind(t *testing.T) {
	issuer := [8]byte{0x31, 0x20}
	id := CardKeyID{Family: TUnion, Index: 1, Version: 2}
	own := id
	own.Issuer = issuer
	keys := CardKeys{id: {Scheme: 'U', N: 16, B: [24]byte{1}}, own: {Scheme: 'U', N: 16, B: [24]byte{2}}}
	for _, c := range []struct {
		name string
		id   CardKeyID
		want byte // first byte of the key; 0: none
	}{
		{"the issuer's", own, 2},
		{"another issuer's", CardKeyID{Family: TUnion, Index: 1, Version: 2, Issuer: [8]byte{9}}, 1},
		{"any issuer's", id, 1},
		{"unknown version", CardKeyID{Family: TUnion, Index: 1, Version: 3, Issuer: issuer}, 0},
		{"the other family", CardKeyID{Family: CityCard, Index: 1, Version: 2, Issuer: issuer}, 0},
		{"for TACs", CardKeyID{Family: TUnion, TAC: true, Index: 1, Version: 2}, 0},
	} {
		k, ok := keys.Find(c.id)
		if k.B[0] != c.want || ok != (c.want != 0) {
			t.Errorf("%s: key %d, %v", c.name, k.B[0], ok)
		}
	}
}
