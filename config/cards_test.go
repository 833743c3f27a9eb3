package config

import (
	"strings"
	"testing"
)

// What cannot work about cards is refused where it stands.
func TestCardFaults(t *testing.T) {
	const cards = "cards: {ceiling: 100000, single: 50000, cities: [\"3120\"],"
	for _, c := range []struct{ from, to, says string }{
		{"commands: [{code: UB}]", "commands: [{code: N0}]", "加密机须启用 UB 命令"},
		{cards, strings.Replace(cards, "3120", "312", 1), `城市代码 "312" 须为 4 位数字`},
		{`air_terminal: "3120FF000001"`, `air_terminal: "3120FF0000"`, "须为 12 位十六进制"},
		{`issuer: "8698312000000000"`, `issuer: "869831200000000Z"`, "须为 16 位十六进制"},
		{"ABCDEF}]}\nregistry", "ABCDEF}, {family: city, use: load, issuer: \"8698312000000000\", index: 1, version: 1, sm4: true, key: U0123456789ABCDEF0123456789ABCDEF}]}\nregistry", "密钥"},
	} {
		text := strings.Replace(whole, c.from, c.to, 1)
		if text == whole {
			t.Fatalf("%q is not in the file", c.from)
		}
		faults := parse(text)
		if len(faults) != 1 || !strings.Contains(faults[0].Message, c.says) || faults[0].Line < 2 {
			t.Errorf("%s: %v", c.to, faults)
		}
	}
	from, to := strings.Index(whole, "\n  keys: [{family: city"), strings.Index(whole, "\nregistry:")
	faults := parse(whole[:from] + "\n  keys: []}" + whole[to:])
	if len(faults) != 1 || !strings.Contains(faults[0].Message, "受理充值须有 keys") {
		t.Errorf("cards without keys: %v", faults)
	}
}
