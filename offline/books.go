package offline

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"tongka/hsm"
	"tongka/yamlfile"
)

// Books say which companies, terminals, SAMs and cards there are. What is not
// loaded is not asked: without a list of terminals every terminal is known.
type Books struct {
	terminals map[string]bool // company|terminal|sam, each also empty → active
	cards     map[string]Reason
	issued    []string // beginnings of card numbers, when any are known
}

const (
	maxBookLine = 256
	maxBook     = 20_000_000 // entries
)

// LoadTerminals reads CSV lines company,terminal,sam,state; state is active or
// cancelled. An empty column stands for any: company,,, is all of that company.
func (b *Books) LoadTerminals(r io.Reader, name string) error {
	b.terminals = map[string]bool{}
	return book(r, name, []string{"company", "terminal", "sam", "state"}, func(v []string) string {
		if v[3] != "active" && v[3] != "cancelled" {
			return "state 须为 active 或 cancelled · wanted: active or cancelled"
		}
		key := strings.Join(v[:3], "|")
		if _, ok := b.terminals[key]; ok {
			return "重复 · stands twice"
		}
		b.terminals[key] = v[3] == "active"
		return ""
	})
}

// LoadCards reads CSV lines card,state; state is cancelled, lost, or issued, where
// card is the beginning of numbers that exist.
func (b *Books) LoadCards(r io.Reader, name string) error {
	b.cards = map[string]Reason{}
	return book(r, name, []string{"card", "state"}, func(v []string) string {
		switch v[1] {
		case "cancelled":
			b.cards[v[0]] = CardCancelled
		case "lost":
			b.cards[v[0]] = CardLost
		case "issued":
			b.issued = append(b.issued, v[0])
		default:
			return "state 须为 cancelled、lost 或 issued · wanted: cancelled, lost or issued"
		}
		return ""
	})
}

// LoadKeys reads CSV lines family,algorithm,index,version,issuer,key: TAC master keys
// under the LMK. Index and version are two hexadecimal digits, issuer sixteen or empty
// for any.
func LoadKeys(r io.Reader, name string) (hsm.CardKeys, error) {
	keys := hsm.CardKeys{}
	err := book(r, name, []string{"family", "algorithm", "index", "version", "issuer", "key"}, func(v []string) string {
		id := hsm.CardKeyID{TAC: true}
		var small [2]byte
		k, err := hsm.ParseKey(v[5])
		switch {
		case v[0] != "city" && v[0] != "tunion":
			return "family 须为 city 或 tunion · wanted: city or tunion"
		case v[1] != "des" && v[1] != "sm4":
			return "algorithm 须为 des 或 sm4 · wanted: des or sm4"
		case !unhex(small[:1], []byte(v[2])) || !unhex(small[1:], []byte(v[3])):
			return "index、version 须为两位十六进制 · two hexadecimal digits are wanted"
		case v[4] != "" && !unhex(id.Issuer[:], []byte(v[4])):
			return "issuer 须为 16 位十六进制或空 · sixteen hexadecimal digits or nothing"
		case err != nil:
			return err.Error()
		}
		id.Index, id.Version = small[0], small[1]
		if v[0] == "tunion" {
			id.Family = hsm.TUnion
		}
		if v[1] == "sm4" {
			id.Alg = hsm.CardSM4
		}
		if _, ok := keys[id]; ok {
			return "重复 · stands twice"
		}
		keys[id] = k
		return ""
	})
	return keys, err
}

// book reads CSV of fixed columns without quotes. It never quotes a line: there are
// card numbers in it.
func book(r io.Reader, name string, columns []string, add func([]string) string) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, maxBookLine), maxBookLine)
	var faults yamlfile.Faults
	line := 0
	for in.Scan() {
		line++
		v := strings.Split(strings.TrimRight(in.Text(), "\r"), ",")
		says := ""
		switch {
		case line == 1:
			if strings.Join(v, ",") != strings.Join(columns, ",") {
				says = "首行须为 · the first line has to be " + strings.Join(columns, ",")
			}
		case len(v) != len(columns):
			says = fmt.Sprintf("应有 %d 列 · %d columns are wanted", len(columns), len(columns))
		case line > maxBook:
			return fmt.Errorf("%s: 超过 %d 行 · more than %d lines", name, maxBook, maxBook)
		default:
			says = add(v)
		}
		if says != "" {
			faults = append(faults, yamlfile.Fault{File: name, Line: line, Column: 1, Message: says})
			if len(faults) == maxFaultsKept {
				break
			}
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("%s:%d:1: %w", name, line+1, err)
	}
	if line == 0 {
		faults = append(faults, yamlfile.Fault{File: name, Line: 1, Column: 1, Message: "空文件 · the file is empty"})
	}
	if faults != nil {
		return faults
	}
	return nil
}

// Judge says what the books and the record itself have against it.
func (b *Books) Judge(it *Item, hasBefore, hasAfter bool) Reason {
	if r := b.company(it); r != Fine {
		return r
	}
	if r, ok := b.cards[string(it.Card)]; ok {
		return r
	}
	if len(b.issued) > 0 && !b.known(it.Card) {
		return CardUnknown
	}
	load := it.Kind == hsm.PurseLoad
	switch {
	case hasBefore && !load && it.Before < it.Amount,
		hasBefore && hasAfter && !load && it.Before-it.Amount != it.After,
		hasBefore && hasAfter && load && it.Before+it.Amount != it.After:
		return BalanceShort
	}
	return Fine
}

// company looks from the most exact entry to the least.
func (b *Books) company(it *Item) Reason {
	if b.terminals == nil {
		return Fine
	}
	company, terminal, sam := string(it.Company), string(it.Terminal), string(it.SAM)
	for _, key := range []string{
		company + "|" + terminal + "|" + sam, company + "|" + terminal + "|", company + "||" + sam, company + "||",
		"|" + terminal + "|" + sam, "|" + terminal + "|", "||" + sam,
	} {
		if active, ok := b.terminals[key]; ok {
			if active {
				return Fine
			}
			return CompanyCancelled
		}
	}
	return CompanyUnknown
}

func (b *Books) known(card []byte) bool {
	for _, p := range b.issued {
		if strings.HasPrefix(string(card), p) {
			return true
		}
	}
	return false
}
