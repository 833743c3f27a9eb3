package dialects

import (
	"strings"
	"testing"

	"tongka/codec/iso8583"
)

func TestOpenFindsWhatIsBuiltIn(t *testing.T) {
	for _, name := range Names() {
		s, err := Open(strings.ToUpper(name))
		if err != nil || s.Name() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := Open("87A"); err != nil || s != iso8583.ASCII() {
		t.Errorf("87A: %v", err)
	}
}

func TestOpenSaysWhatThereIs(t *testing.T) {
	_, err := Open("nowhere.yaml")
	if err == nil || !strings.Contains(err.Error(), "nowhere.yaml") || !strings.Contains(err.Error(), "pos, bcd, cups") {
		t.Error(err)
	}
}
