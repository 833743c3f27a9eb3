package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const routedConfig = `node: {acquirer: "48023310"}
data: data
listeners: [{name: pos, address: "127.0.0.1:0"}]
links:
  - {name: a, address: "127.0.0.1:9001", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF", limit: {rate: 50, burst: 10, in_flight: 7}}
  - {name: b, address: "127.0.0.1:9002", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF"}
  - {name: c, address: "127.0.0.1:9003", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF"}
routes:
  - {name: group4, group: [4], kinds: [sale], link: c}
  - {name: cmb, issuer: [CMB], to: [{link: a, weight: 70}, {link: b, weight: 30}], fallback: [c]}
  - {name: night, hours: ["22:00-06:00"], link: b}
  - {name: large, amount: {min_fen: 500000}, link: a}
  - {name: weekend, days: [holiday], kinds: [sale], link: a}
bin_table: bins.csv
calendar: {holidays: ["2026-10-01"]}
flow_control: {terminal: {rate: 10, per: 1m, in_flight: 3}, enquiries: {rate: 100}}
registry: {import: terminals.csv}
hsm: {mode: soft, test_lmk: true}
console: {address: ""}
`

func placeRouted(t *testing.T, config, bins string) string {
	t.Helper()
	path := place(t, func(string) string { return config }, threeTerminals)
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "bins.csv"), []byte(bins), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRouteExplain(t *testing.T) {
	path := placeRouted(t, routedConfig, "bin,issuer\n622588,CMB\n")
	for _, c := range []struct {
		args  string
		link  string
		code  string
		taken string
		says  []string // for people
	}{
		{"--pan 6225880000000003 --at 2026-10-09T12:00", "", "00", "routes[1] cmb", []string{"622588******0003", "a 70.0%, b 30.0%", "备用 · fallback: c"}},
		{"--pan 6225880000000003 --down a,b --at 2026-10-09T12:00", "c", "00", "routes[1] cmb", nil},
		{"--pan 6225880000000003 --down a,b,c", "", "91", "routes[1] cmb", []string{"its links are down"}},
		{"--pan 6225880000000003 --down a,b --full c", "", "96", "routes[1] cmb", []string{"its links are full"}},
		{"--merchant M1 --terminal T1 --at 2026-10-09T12:00", "c", "00", "routes[0] group4", []string{"组 group 4"}},
		{"--group 4 --at 2026-10-09T12:00", "c", "00", "routes[0] group4", nil},
		{"--at 2026-10-09T22:00", "b", "00", "routes[2] night", nil},
		{"--amount 5000 --at 2026-10-09T12:00", "a", "00", "routes[3] large", []string{"5000.00 元"}},
		{"--amount 4999.99 --at 2026-10-09T12:00", "", "92", "", []string{"no route takes it", "the amount is out of its range", "out of its hours", "another terminal group", "another day"}},
		{"--at 2026-10-01T12:00", "a", "00", "routes[4] weekend", nil},
		{"--at 2026-10-01T12:00 --kind balance", "", "92", "", []string{"routes[4] weekend: 交易种类不符"}},
	} {
		args := append([]string{"route", "explain", "-c", path}, strings.Fields(c.args)...)
		r := call("", append(args, "--json")...)
		var v explained
		if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != exitDone {
			t.Errorf("%s: %v, %v", c.args, r, err)
			continue
		}
		taken := ""
		for _, route := range v.Routes {
			if route.Taken {
				taken = route.Route
			}
			if route.Why == "" {
				t.Errorf("%s: no reason for %s", c.args, route.Route)
			}
		}
		if v.Code != c.code || taken != c.taken || c.link != "" && v.Link != c.link || len(v.Routes) != 5 {
			t.Errorf("%s: %+v", c.args, v)
		}
		people := call("", args...)
		for _, want := range c.says {
			if !strings.Contains(people.out, want) {
				t.Errorf("%s: %q is not in\n%s", c.args, want, people.out)
			}
		}
		if strings.Contains(people.out+r.out, "6225880000000003") {
			t.Errorf("%s: a card number is shown", c.args)
		}
	}
}

func TestRouteExplainRefuses(t *testing.T) {
	path := placeRouted(t, routedConfig, "bin,issuer\n622588,CMB\n")
	for args, want := range map[string]string{
		"--kind reversal":                    "须为其一",
		"--kind sail":                        "须为其一",
		"--pan 62258800":                     "12 至 19 位",
		"--amount 1.234":                     "须为元",
		"--amount -1":                        "须为元",
		"--amount 99999999999":               "须为元",
		"--at yesterday":                     "2026-10-01 08:30",
		"--down d":                           `没有线路 "d"`,
		"--merchant 1234567890123456":        "至多 15 个字符",
		"--merchant M1 --terminal T9":        "does not hold this terminal",
		"--merchant M1 --terminal T23456789": "--terminal 8",
	} {
		list := strings.Fields(args)
		for i := range list {
			if list[i] == "-1" {
				list = []string{"--amount=-1"}
				break
			}
		}
		if r := call("", append([]string{"route", "explain", "-c", path}, list...)...); r.code != exitFailed || !strings.Contains(r.err, want) {
			t.Errorf("%s: %v, want %q", args, r, want)
		}
	}
	broken := placeRouted(t, routedConfig, "bin,issuer\n622588,CMB\n622588,ICBC\n")
	for _, cmd := range []string{"check", "route explain"} {
		if r := call("", append(strings.Fields(cmd), "-c", broken)...); r.code != exitFailed || !strings.Contains(r.err, "bins.csv:3:1: 622588 与第 2 行") {
			t.Errorf("%s: %v", cmd, r)
		}
	}
	unknown := placeRouted(t, routedConfig, "bin,issuer\n622588,ICBC\n")
	if r := call("", "check", "-c", unknown); !strings.Contains(r.err, `routes[1] cmb: 卡 BIN 表中没有发卡方 "CMB"`) {
		t.Error(r)
	}
}

func TestCheckSaysRoutesLimitsAndWarnings(t *testing.T) {
	path := placeRouted(t, routedConfig+"", "bin,issuer\n622588,CMB\n")
	r := call("", "check", "-c", path)
	for _, want := range []string{
		"路由 · routes[1] cmb: *, 发卡方 issuer CMB → a 70.0%, b 30.0%; 备用 fallback c",
		"路由 · routes[0] group4: sale, 组 group 4 → c",
		"路由 · routes[3] large: *, 金额 fen ≥ 500000 → a",
		"流量控制 · flow control: 超限应答 · over a limit 96",
		"每终端 · each terminal: 10 / 1m0s, 突发 burst 10, 在途 in flight ≤ 3",
		"线路 · link a: 50 / 1s, 突发 burst 10, 在途 in flight ≤ 7",
		"注意 · note: routes[2] night: 与 routes[0] group4 同样优先且有重叠",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in\n%s%s", want, r.out, r.err)
		}
	}
	var v verdict
	if err := json.Unmarshal([]byte(call("", "check", "--json", "-c", path).out), &v); err != nil || len(v.Warnings) < 2 {
		t.Errorf("%v: %v", v.Warnings, err)
	}
}
