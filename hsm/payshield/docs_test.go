package payshield

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tongka/hsm"
)

// verbs are the identifiers of what can be asked, and the commands they become, the
// switch's first.
var verbs = map[string][]string{
	"VerifyMAC": {"M8"}, "MakeMAC": {"M6"}, "GenerateKey": {"A0"}, "CheckValue": {"BU"}, "Diagnose": {"NC"},
	"TranslatePIN": commandOf(hsm.TranslatePIN), "VerifyMAC1": commandOf(hsm.VerifyMAC1), "MakeMAC2": commandOf(hsm.MakeMAC2), "VerifyTAC": commandOf(hsm.VerifyTAC),
	"ImportKey": commandOf(hsm.ImportKey), "ExportKey": commandOf(hsm.ExportKey), "VerifyPVV": commandOf(hsm.VerifyPVV), "VerifyOffset": commandOf(hsm.VerifyOffset),
	"VerifyCVV": commandOf(hsm.VerifyCVV), "EncryptData": commandOf(hsm.EncryptData), "DecryptData": commandOf(hsm.DecryptData), "Random": commandOf(hsm.Random), "Echo": commandOf(hsm.Echo),
}

// askers says who asks each command: who builds a request of a verb in the sources of
// the switch, who has a verb for it, or nobody but the table.
func askers(t *testing.T) map[string]string {
	t.Helper()
	sources := ""
	for _, dir := range []string{"engine", "offline", "hsm/pool"} {
		files, err := filepath.Glob("../../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil && !strings.HasSuffix(f, "_test.go") {
				sources += string(b)
			}
		}
	}
	by := map[string]string{}
	for name, codes := range verbs {
		asked := regexp.MustCompile(`hsm\.` + name + `\b`).MatchString(sources)
		for i, code := range codes {
			if by[code] != "switch" {
				by[code] = "verb"
			}
			if asked && i == 0 {
				by[code] = "switch"
			}
		}
	}
	return by
}

// modesOf lists the modes of a layout; empty when it does not name them.
func modesOf(c *command) string {
	for _, o := range c.request {
		if o.field == fMode && o.set != "" {
			return strings.Join(strings.Split(o.set, ""), " ")
		}
	}
	return ""
}

// TestTheTable holds the table of commands in both languages of the page on modules
// against the commands that are there, who asks them, their modes, and the examples
// that other programs and machines gave.
func TestTheTable(t *testing.T) {
	by, examples := askers(t), map[string][2]int{}
	for _, v := range published {
		n := examples[v.command[4:6]]
		n[0]++
		examples[v.command[4:6]] = n
	}
	for _, v := range captured {
		n := examples[v.command[:2]]
		n[1]++
		examples[v.command[:2]] = n
	}
	want := map[string]string{"NK": fmt.Sprintf("table |  | %d + 0", examples["NK"][0])}
	for _, r := range slices.Concat(rows, optional) {
		c, err := r.compile()
		if err != nil {
			t.Fatal(err)
		}
		asked := by[r.code]
		if asked == "" {
			asked = "table"
		}
		modes := modesOf(c)
		switch r.code {
		case "M0", "M2", "M4":
			modes = "00 01 02 03" // TestDataCommands and its like
		case "NO":
			modes = "00"
		}
		want[r.code] = fmt.Sprintf("%s | %s | %d + %d", asked, modes, examples[r.code][0], examples[r.code][1])
	}
	line := regexp.MustCompile(`(?m)^\| ([A-Z][A-Z0-9]) \| [^|]+ \| (.*) \|$`)
	for _, page := range []string{"../../docs/hsm.md", "../../docs/hsm.zh-CN.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			got[m[1]] = m[2]
		}
		for code, w := range want {
			if got[code] != w {
				t.Errorf("%s: %s: %q, want %q", page, code, got[code], w)
			}
		}
		for code := range got {
			if _, ok := want[code]; !ok {
				t.Errorf("%s: %s is no command", page, code)
			}
		}
	}
}
