package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"tongka/hsm"
	"tongka/hsm/soft"
)

// What test terminals are made of.
const (
	maxProvision     = 100_000
	perMerchant      = 10 // terminals of one merchant
	cardsPerTerminal = 4
	testBIN          = "622588"
)

// Provision makes n test terminals (1 to 100,000) and the text that registers
// them: CSV with the columns merchant,terminal,tmk,mac, keys under the public
// test LMK. The same seed gives the same terminals, so that the program that
// registers them and the one that plays them need no common file. For the same
// reason the keys are worth nothing outside of tests.
func Provision(n int, seed uint64) (terminals []TerminalConfig, csv []byte, err error) {
	return provision(n, seed, &tills)
}

// ProvisionSM4 makes n terminals with SM4 in the same way, of numbers of their own.
func ProvisionSM4(n int, seed uint64) (terminals []TerminalConfig, csv []byte, err error) {
	return provision(n, seed, &sm4Series)
}

// ProvisionKiosks makes n self-service terminals in the same way; they have other
// numbers, merchants and cards than those of Provision.
func ProvisionKiosks(n int, seed uint64) (kiosks []TerminalConfig, csv []byte, err error) {
	return provision(n, seed, &kioskSeries)
}

// series is where the numbers of test terminals begin.
type series struct {
	merchant     string // and four digits more
	number, card int
	stream       byte // of the seed
	sm4          bool
}

var (
	tills       = series{merchant: "89831005411", number: 10_000_001}
	kioskSeries = series{merchant: "89831004111", number: 20_000_001, card: maxProvision * cardsPerTerminal, stream: 1}
	sm4Series   = series{merchant: "89831005999", number: 30_000_001, card: 2 * maxProvision * cardsPerTerminal, stream: 2, sm4: true}
)

func provision(n int, seed uint64, from *series) (terminals []TerminalConfig, csv []byte, err error) {
	if n < 1 || n > maxProvision {
		return nil, nil, fmt.Errorf("sim: %d test terminals: wanted 1 to %d", n, maxProvision)
	}
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	s[8] = from.stream
	random := rand.NewChaCha8(s)
	module := soft.New(soft.TestLMK())
	wrap := module.Wrap
	if from.sm4 {
		wrap = module.WrapSM4
	}
	var out bytes.Buffer
	out.WriteString("merchant,terminal,tmk,mac\n")
	for i := range n {
		t := TerminalConfig{
			// Acquirer 3, area 4, trade (MCC) 4, sequence 4.
			Merchant: fmt.Sprintf("%s%04d", from.merchant, i/perMerchant),
			Number:   fmt.Sprintf("%08d", from.number+i),
			TMK:      make([]byte, 16),
			MAC:      hsm.UnionPay,
			SM4:      from.sm4,
		}
		random.Read(t.TMK) // never fails, by its documentation
		for j := range cardsPerTerminal {
			t.PANs = append(t.PANs, testPAN(from.card+i*cardsPerTerminal+j))
		}
		key, err := wrap(hsm.TMK, t.TMK)
		if err != nil {
			return nil, nil, fmt.Errorf("sim: terminal %s: %w", t.Number, err)
		}
		fmt.Fprintf(&out, "%s,%s,%s,unionpay\n", t.Merchant, t.Number, key)
		terminals = append(terminals, t)
	}
	return terminals, out.Bytes(), nil
}

// testPAN gives the i-th test card number: 16 digits with a right check digit
// (ISO/IEC 7812-1, Luhn).
func testPAN(i int) string {
	body := fmt.Sprintf("%s%09d", testBIN, i)
	sum := 0
	for at, c := range body {
		d := int(c - '0')
		if at%2 == 0 { // every second digit, counted from the check digit
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	var b strings.Builder
	b.WriteString(body)
	b.WriteByte('0' + byte((10-sum%10)%10))
	return b.String()
}
