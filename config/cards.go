package config

import (
	"encoding/hex"
	"fmt"
	"regexp"

	"tongka/hsm"
)

// Cards says which e-purse cards are loaded. Without a ceiling none are.
type Cards struct {
	Ceiling      int       `json:"ceiling,omitempty" range:"0,100000000" jsonschema:"卡内余额上限，分，0 为不受理充值 · fen on a card at most; 0: cards are not loaded"`
	Single       int       `json:"single,omitempty" range:"0,100000000" jsonschema:"单笔充值上限，分，缺省同 ceiling · fen of one load at most, the ceiling when left out"`
	Cities       []string  `json:"cities,omitempty" jsonschema:"受理的城市代码，4 位数字，空为全部 · city codes that are taken, four digits; all when left out"`
	CityLevels   int       `json:"city_levels,omitempty" range:"1,2" jsonschema:"城市一卡通密钥分散级数：1 卡，2 发卡机构与卡 · levels of diversification of city cards: 1 the card, 2 issuer and card"`
	TUnionLevels int       `json:"tunion_levels,omitempty" range:"1,2" jsonschema:"交通联合卡密钥分散级数 · the same of T-Union cards"`
	SM4          int       `json:"sm4_algorithm,omitempty" range:"0,255" jsonschema:"卡片以何算法标识表示 SM4，0 为不受理 · the algorithm identifier by which cards mean SM4, 0: none"`
	Spent        bool      `json:"spent_since,omitempty" jsonschema:"充值后余额因消费减少仍按计数器判定，否则挂人工 · a balance that purchases lowered since a load is no contradiction; otherwise a person decides"`
	Terminal     string    `json:"air_terminal,omitempty" jsonschema:"空中充值的虚拟终端号，12 位十六进制 · terminal number of air top-ups, 12 hex digits"`
	AirKey       int       `json:"air_key,omitempty" range:"0,255" jsonschema:"空中充值所用卡内密钥索引 · index of the card's key in air top-ups"`
	Keys         []CardKey `json:"keys,omitempty" jsonschema:"卡主密钥 · master keys of cards"`
}

// CardKey is one master key.
type CardKey struct {
	Family  string  `json:"family" enum:"city,t-union" jsonschema:"卡类 · family of cards"`
	Use     string  `json:"use" enum:"load,unload,tac" jsonschema:"用途：充值、圈提或 TAC；无 unload 密钥即不受理圈提 · what it is for; without an unload key nothing is unloaded"`
	Issuer  string  `json:"issuer,omitempty" jsonschema:"发卡机构标识，16 位十六进制，空为任何机构 · issuer, 16 hex digits; any when left out"`
	Index   int     `json:"index" range:"0,255" jsonschema:"卡内密钥索引 · index of the key on the card"`
	Version int     `json:"version" range:"0,255" jsonschema:"密钥版本 · version of the key"`
	SM4     bool    `json:"sm4,omitempty" jsonschema:"SM4 卡的密钥 · of SM4 cards"`
	Key     hsm.Key `json:"key" jsonschema:"LMK 下的密钥（类型 109）· the key under the LMK, type 109"`
}

var fourDigits = regexp.MustCompile(`^[0-9]{4}$`)

// cards looks for keys that stand twice and texts of the wrong length.
func (r *reader) cards(c *Cards, h *HSM) {
	if c.Ceiling > 0 && len(c.Keys) == 0 {
		r.faultAt("cards.ceiling", "受理充值须有 keys · loading cards wants keys", "")
	}
	if c.Ceiling > 0 && h.Mode == "tcp" && !h.has("UB") {
		r.faultAt("cards.ceiling", "加密机须启用 UB 命令：hsm.commands · the modules must have UB: see hsm.commands", "commands: [{code: UB}]")
	}
	each(r, "cards.cities", c.Cities, func(s string) error {
		if !fourDigits.MatchString(s) {
			return fmt.Errorf("城市代码 %q 须为 4 位数字 · city %q, four digits wanted", s, s)
		}
		return nil
	})
	r.hexText("cards.air_terminal", c.Terminal, 6)
	seen := map[string]string{}
	for i := range c.Keys {
		k, path := &c.Keys[i], fmt.Sprintf("cards.keys[%d]", i)
		r.hexText(path+".issuer", k.Issuer, 8)
		name := fmt.Sprintf("%s %s %s %d/%d", k.Family, k.Use, k.Issuer, k.Index, k.Version)
		if k.SM4 {
			name += " sm4"
		}
		if k.Family != "" && k.Use != "" {
			r.unique(seen, path, name, "密钥", "key")
		}
	}
}

func (h *HSM) has(code string) bool {
	for i := range h.Commands {
		if h.Commands[i].Code == code {
			return true
		}
	}
	return false
}

// hexText wants n bytes in hexadecimal digits, or nothing.
func (r *reader) hexText(path, s string, n int) {
	if b, err := hex.DecodeString(s); s != "" && (err != nil || len(b) != n) {
		r.faultAt(path, fmt.Sprintf("须为 %d 位十六进制 · %d hexadecimal digits wanted", 2*n, 2*n), "")
	}
}
