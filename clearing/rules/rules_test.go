package rules

import (
	"strings"
	"testing"
	"time"

	"tongka/clearing/fee"
	"tongka/clearing/row"
	"tongka/txn"
)

const whole = `zone: Asia/Shanghai
cut: "23:30"
match:
  - by: [rrn]
  - by: [stan, sent, amount]
tolerance: 2
many: false
hold: 45m
late_days: 3
weekends: false
holidays: [20261001, 2026-10-02]
files:
  - {name: "cup-*.csv", link: bank-b, required: true}
fees:
  - name: debit
    kinds: [sale, refund]
    merchant: "1041"
    payer: merchant
    tiers:
      - {up_to: 10000, rate: 0.5%}
      - {rate: 0.38%, fixed: 3, min: 1, max: 2000}
    shares:
      - {to: issuer, part: 70%}
      - {to: centre, part: 10.0001%}
    remainder: acquirer
    returned: true
disputes: [{name: high, least: 5000, days: 1, classes: [ours-only]}, {name: low, days: 5}]
tolerated: centre
cities: [{name: bj, merchants: ["???1100*"]}, {name: sh, merchants: ["???2900*", "1*"]}]
offline:
  - {company: "00*", merchant: "M{company}{terminal}"}
  - {terminal: "T?", sam: "S1", merchant: "104110045110001"}
settle:
  - {of: "merchant:104110", days: 0}
  - {of: merchant, days: 1, least: 100}
  - {of: "issuer:bank-b", days: 2, collect: true}
`

func TestParse(t *testing.T) {
	r, err := Parse("clearing.yaml", []byte(whole), []string{"bank-a", "bank-b"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Schedule.At != 23*time.Hour+30*time.Minute || r.Schedule.Zone.String() != "Asia/Shanghai" || len(r.Match) != 2 || r.Match[1][1] != row.BySent ||
		r.Tolerance != 2 || r.Many || r.Hold != 45*time.Minute || r.LateDays != 3 || len(r.Holidays) != 2 || len(r.Digest) != 64 {
		t.Errorf("%+v", r)
	}
	if f := r.Files[0]; f.Link != 1 || !f.Required || f.Name != "cup-*.csv" {
		t.Errorf("%+v", f)
	}
	if l := r.Disputes; len(l) != 2 || l[0].Least != 5000 || l[0].Days != 1 || l[0].Classes[0] != "ours-only" || l[1].Name != "low" {
		t.Errorf("%+v", l)
	}
	f := r.FeeRules[0]
	if f.Tiers[0].Rate != 5000 || f.Tiers[1].Rate != 3800 || f.Tiers[1].Max != 2000 || f.Shares[1].Parts != 100_001 || f.Kinds[1] != txn.Refund || !f.Returned || f.Merchant != "1041" {
		t.Errorf("%+v", f)
	}
	for _, c := range []struct {
		p    fee.Party
		days int
		ok   bool
	}{
		{fee.Party{Role: fee.Merchant, Name: "104110"}, 0, true}, {fee.Party{Role: fee.Merchant, Name: "1"}, 1, true},
		{fee.Party{Role: fee.Issuer, Name: "1"}, 2, true}, {fee.Party{Role: fee.Issuer, Name: "0"}, 0, false}, {fee.Party{Role: fee.Acquirer}, 0, false},
	} {
		if got, ok := r.CycleOf(c.p); ok != c.ok || got.Days != c.days {
			t.Errorf("%v: %+v %v", c.p, got, ok)
		}
	}
	if r.Tolerated.Role != fee.Centre || r.CityOf("104110045110001") != "bj" || r.CityOf("104290000000000") != "sh" || r.CityOf("2") != OtherCity {
		t.Errorf("%v, cities %+v", r.Tolerated, r.Cities)
	}
	for who, want := range map[[3]string]string{{"0012", "7", ""}: "M00127", {"1", "T1", "S1"}: "104110045110001", {"1", "T1", "S2"}: "", {"0012", "123456789012", ""}: "", {"00", "a-b", ""}: ""} {
		if m, ok := r.PurseMerchant(who[0], who[1], who[2]); ok != (want != "") || ok && m != want {
			t.Errorf("%v: %q %v, want %q", who, m, ok, want)
		}
	}
	// Wednesday 30 September + 1: two holidays, then a weekend.
	if d := r.Due(20260930, 1); d != 20261005 {
		t.Errorf("due %s", d)
	}
}

// Each fault is named with its place, and all of a file at once.
func TestFaultsNameThePlace(t *testing.T) {
	const least = "match: [{by: [rrn]}]\nfiles: []\n"
	for text, want := range map[string]string{
		"":                                               "1:1: 空文件",
		"match: []\nfiles: []":                           "1:8: 须为 1 至 4 遍",
		"files: []":                                      "match is missing",
		"match: [{by: [pan]}]\nfiles: []":                "1:14: 没有匹配字段",
		"match: [{by: [rrn, rrn]}]\nfiles: []":           "1:14: 匹配字段 rrn 重复",
		least + "tolerence: 1":                           `3:1: 未知的键 "tolerence" · unknown key "tolerence" (是否为 "tolerance"`,
		least + "many: 1":                                "3:7: 须为 true",
		least + "many: true\nmany: false":                `4:1: 键 "many" 重复`,
		least + "tolerance: -1":                          "3:12: ",
		least + "tolerance: 1.5":                         "3:12: ",
		least + "hold: 25h":                              "3:7: 须为 0s",
		least + "cut: 25:00":                             "3:6: 须为时刻",
		least + "tolerated: fund":                        "3:12: 商户与卡基金",
		least + "tolerated: merchant":                    "3:12: ",
		least + "cities: [{name: other, merchants: []}]": "3:10: 城市名",
		least + "cities: [{name: a, merchants: []}, {name: a, merchants: []}]":                           "3:36: 城市名",
		least + "cities: [{name: a, merchants: [\"[\"]}]":                                                "3:",
		least + "offline: [{company: x}]":                                                                "merchant is missing",
		least + "offline: [{merchant: \"a-{x}\"}]":                                                       "3:11: merchant 须为",
		least + "zone: Local":                                                                            "3:7: 没有时区",
		least + "holidays: [20260230]":                                                                   "3:12: ",
		least + "disputes: [{name: x, days: 1, classes: [lost]}]":                                        `no class of differences "lost"`,
		least + "disputes: [{name: x y, days: 1}]":                                                       "one word is wanted",
		least + "disputes: [{name: x}]":                                                                  "days is missing",
		least + "settle: [{of: acquirer}]":                                                               "本方",
		least + "settle: [{of: nobody}]":                                                                 "3:15: ",
		least + "settle: [{of: \"merchant:\"}]":                                                          "3:15: ",
		least + "fees: 3":                                                                                "3:7: 须为列表",
		least + "fees: [{name: x, payer: merchant}]":                                                     "tiers is missing",
		"match: [{by: [rrn]}]\nfiles: [{name: \"a/b\", link: bank-a}]":                                   "2:16: ",
		"match: [{by: [rrn]}]\nfiles: [{name: \"[\", link: bank-a}]":                                     "2:16: ",
		"match: [{by: [rrn]}]\nfiles: [{name: a, link: bank}]":                                           `2:25: 没有线路 "bank"`,
		"match: [{by: [rrn]}]\nfiles: [{name: a, link: 2}]":                                              `2:25: 没有线路`,
		least + "fees: [{name: x, payer: merchant, remainder: acquirer, tiers: [{rate: 0.38}]}]":         "0.38%",
		least + "fees: [{name: x, payer: merchant, remainder: acquirer, tiers: [{rate: 0.38001%}]}]":     "3:",
		least + "fees: [{name: x, payer: merchant, remainder: acquirer, tiers: [{rate: 100.01%}]}]":      "100%",
		least + "fees: [{name: x, payer: merchant, remainder: acquirer, tiers: [{up_to: 5}]}]":           "without a bound",
		least + "fees: [{name: x, kinds: [balance], payer: merchant, remainder: acquirer, tiers: [{}]}]": "no kind that is cleared",
		least + "fees: [{name: x, payer: merchant, remainder: acquirer, tiers: [{max: 1}], shares: [{to: \"merchant:1\", part: 1%}]}]": "no party here",
	} {
		_, err := Parse("c.yaml", []byte(text), []string{"bank-a", "bank-b"})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "c.yaml:") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	_, err := Parse("c.yaml", []byte("match: [{by: [x]}]\nfiles: 1\nhold: x\n"), nil)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("all at once: %v", err)
	}
}
