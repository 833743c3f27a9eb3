package bench

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"

	"tongka/bench/internal/mix"
	"tongka/bench/internal/sale"
	"tongka/hsm"
	"tongka/hsm/soft"
)

// place is where a switch runs: a folder with its config, its terminals and its
// data.
type place struct {
	dir     string
	config  string
	log     string
	pos     netip.AddrPort // for terminals
	console netip.AddrPort
}

// settings is what the config is made of.
type settings struct {
	POS, Console, Bank netip.AddrPort
	ZPK                hsm.Key
	LoadKey, TACKey    hsm.Key        // of the cards of a mix
	Stuck              bool           // four lines to the bank, one of which hears and says nothing
	Module             netip.AddrPort // a security module behind a socket; the zero value: in the process
	Connections        int
	Enquiries          int            // let through in a second, 0 for no limit
	Sleep              bool           // processors may, however busy it is
	Debtor             netip.AddrPort // a second bank, which is owed; the zero value: there is none
}

// The bank answers at once, so the deadlines only matter when something is
// broken; then they should not outlast the bench. A mix owes 2,000 reversals a second, and
// they are delivered as they come: the usual window lets half of that through, and the rest
// would pile up and cost nothing until after the run.
var configFile = template.Must(template.New("switch.yaml").Parse(`node: {name: bench, acquirer: "48223100", forwarder: "48220000"}
data: data
listeners:
  - {name: pos, address: "{{.POS}}", dialect: pos, max_connections: {{.Connections}}}
links:
  - name: bank
{{if .Stuck}}    lines: [{address: "{{.Bank}}"}, {address: "{{.Bank}}"}, {address: "{{.Bank}}"}, {address: "{{.Bank}}"}]
    max_missed: 20
    answer_timeout: 1s
{{else}}    address: "{{.Bank}}"
    answer_timeout: 10s
{{end}}    dialect: cups
    destination: "00010000"
    source: "48220000"
    zpk: {{.ZPK}}
    echo_interval: 30s
    reversal: {window: 64}
{{if .Debtor.IsValid}}  - {name: debtor, address: "{{.Debtor}}", destination: "00010000", zpk: {{.ZPK}}, reversal: {window: 1024}}
{{end}}routes:
  - {link: bank}
hsm: {{if .Module.IsValid}}{mode: tcp, test_lmk: true, addresses: ["{{.Module}}"], connections: 4, window: 1024, commands: [{code: UB}]}{{else}}{mode: soft, test_lmk: true}{{end}}
registry: {import: terminals.csv}
cards:
  ceiling: 100000000
  tunion_levels: 1
  spent_since: true
  keys:
    - {family: t-union, use: load, index: 1, version: 1, key: {{.LoadKey}}}
    - {family: t-union, use: tac, index: 1, version: 1, key: {{.TACKey}}}
limits: {in_flight: 16384}
{{if .Enquiries}}flow_control: {enquiries: {rate: {{.Enquiries}}, burst: {{.Enquiries}}, in_flight: 4096}}
{{end}}{{if .Sleep}}processors: {awake_above: 0}
{{end}}console: {address: "{{.Console}}"}
log: {level: warn}
`))

// provision writes the folder of a switch that knows the given number of
// terminals, signed in, their keys under the public test LMK. Of the settings it
// makes ports and key.
func provision(dir string, terminals int, s settings) (p place, err error) {
	p = place{dir: dir, config: filepath.Join(dir, "switch.yaml"), log: filepath.Join(dir, "switch.log")}
	if p.pos, p.console, err = freePorts(); err != nil {
		return p, err
	}
	module := soft.New(soft.TestLMK())
	bankKeys := sale.NewTerminal(0) // any key does: the bank does not look at PINs
	zpk, err := module.Wrap(hsm.ZPK, bankKeys.PIK[:])
	if err != nil {
		return p, fmt.Errorf("bench: ZPK: %w", err)
	}
	for _, k := range []struct {
		master [16]byte
		to     *hsm.Key
	}{{mix.LoadMaster, &s.LoadKey}, {mix.TACMaster, &s.TACKey}} {
		if *k.to, err = module.Wrap(hsm.MKAC, k.master[:]); err != nil {
			return p, fmt.Errorf("bench: card key: %w", err)
		}
	}
	s.POS, s.Console, s.ZPK = p.pos, p.console, zpk
	var text bytes.Buffer
	if err := configFile.Execute(&text, s); err != nil {
		return p, err
	}
	if err := os.WriteFile(p.config, text.Bytes(), 0o600); err != nil {
		return p, err
	}
	list, err := terminalsFile(module, terminals)
	if err != nil {
		return p, err
	}
	return p, os.WriteFile(filepath.Join(dir, "terminals.csv"), list, 0o600)
}

// terminalsFile is the registry's import: columns as registry names them.
func terminalsFile(module *soft.Module, n int) ([]byte, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	if err := w.Write([]string{"merchant", "terminal", "tmk", "pik", "mak", "batch"}); err != nil {
		return nil, err
	}
	for i := range n {
		t := sale.NewTerminal(i)
		var keys [3]string
		for j, k := range []struct {
			kind  hsm.KeyType
			clear []byte
		}{{hsm.TMK, t.PIK[:]}, {hsm.TPK, t.PIK[:]}, {hsm.TAK, t.MAK[:]}} {
			wrapped, err := module.Wrap(k.kind, k.clear)
			if err != nil {
				return nil, fmt.Errorf("bench: terminal %s: %w", t.Number, err)
			}
			keys[j] = wrapped.String()
		}
		if err := w.Write([]string{t.Merchant, t.Number, keys[0], keys[1], keys[2], t.Batch}); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return text.Bytes(), w.Error()
}
