package node

import (
	"strings"
	"testing"

	"tongka/codec/iso8583"
	"tongka/config"
	"tongka/hsm"
	"tongka/translate"
)

// A bank's dialect must have room for what its PIN key makes.
func TestPINRoomFitsTheKey(t *testing.T) {
	bank, err := translate.NewBank(iso8583.Cups(), "1", "1", "1", "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  hsm.Key
		good bool
	}{{hsm.Key{}, true}, {hsm.Key{Scheme: 'U', N: 16}, true}, {hsm.Key{Scheme: hsm.SM4Scheme, N: 16}, false}} {
		err := pinRoom(&config.Link{Name: "b", ZPK: c.key}, bank)
		if (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), "F52") {
			t.Errorf("%c: %v", c.key.Scheme, err)
		}
	}
}
