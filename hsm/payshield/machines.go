package payshield

import (
	"fmt"
	"slices"
)

// machine is how a kind of module differs from a payShield, as far as its documents or
// programs that talk to it say.
type machine struct {
	name    string
	dialect Dialect
	own     []row // commands beyond the manual's, or otherwise than there; no layout: as optional has it
}

// machines are the kinds that have a name. Sources: what is known of Union Tech's SJL06
// in its Racal mode and of TASS's SJJ1310, which both write SM4 keys with an S and have
// the commands of city cards, and of which the latter always takes an IV for MS; and of
// a simulator that gives the length of a MAC. Binary protocols (SJL05, SJL06 in its own
// mode) are not host commands and not here.
var machines = []machine{
	{name: "payshield"},
	{name: "sjl06", dialect: Dialect{SM4Keys: true}, own: []row{{code: "UB"}, {code: "N0"}}},
	{name: "sjj1310", dialect: Dialect{SM4Keys: true}, own: []row{{code: "UB"}, {code: "N0"},
		{code: "MS", request: "mode:1[0123] flag:1[01] keylen:1[01] in:1[01] key:K iv:16H {in=0 len:4H(data) } {in=1 len:4H(data/2) } data:@"}}},
	{name: "simulator", dialect: Dialect{MACLength: true}},
}

// Machine gives the dialect of a kind of module; empty means payshield. The error names
// the kinds there are.
func Machine(name string) (Dialect, error) {
	if name == "" {
		name = machines[0].name
	}
	i := slices.IndexFunc(machines, func(m machine) bool { return m.name == name })
	if i < 0 {
		return Dialect{}, fmt.Errorf("payshield: module %q is not known: one of %v", name, Machines())
	}
	d := machines[i].dialect
	for _, r := range machines[i].own {
		if err := d.Define(r.code, Layout{Request: r.request, Response: r.response}); err != nil {
			return Dialect{}, err
		}
	}
	return d, nil
}

// Machines are the names of the kinds.
func Machines() []string {
	var names []string
	for _, m := range machines {
		names = append(names, m.name)
	}
	return names
}
