package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"tongka/offline/layout"
	simoffline "tongka/sim/offline"
)

// simOfflineCmd makes files of offline transactions, and the lists that they are held
// against.
type simOfflineCmd struct {
	Out    string `required:"" type:"path" placeholder:"DIR" help:"写入的目录 · folder to write to"`
	Layout string `default:"dongguan" help:"内置格式名，见 offline layouts · name of a built-in layout, see offline layouts"`
	Count  int    `default:"1000" help:"正常记录数 · records that are right"`
	Seed   uint64 `default:"1" help:"种子；0 至 31，另一种子为另一批卡与流水 · seed, 0 to 31; another one gives other cards and numbers"`
	Faults bool   `help:"另加格式所能有的每种错误记录各一条 · and one record with each fault that the layout can show"`
}

// maxSimRecords is what the numbers of the made-up cards leave room for.
const maxSimRecords = 1_000_000

// Validate bounds the file, and wants a layout that has records.
func (c *simOfflineCmd) Validate() error {
	if c.Count < 1 || c.Count > maxSimRecords {
		return fmt.Errorf("--count %d：须为 1 至 %d · wanted 1 to %d", c.Count, maxSimRecords, maxSimRecords)
	}
	if c.Seed > simoffline.MaxSeed {
		return fmt.Errorf("--seed %d：至多 %d · wanted %d at most", c.Seed, simoffline.MaxSeed, simoffline.MaxSeed)
	}
	var names []string
	for _, l := range layout.Builtin() {
		if l.Name != "recharge-al" { // totals, and no records
			names = append(names, l.Name)
		}
	}
	if !slices.Contains(names, c.Layout) {
		return fmt.Errorf("--layout %s：须为 · wanted %v", c.Layout, names)
	}
	return nil
}

// Run writes the files and says what to do with them.
func (c *simOfflineCmd) Run(s *streams) error {
	name, files, err := simoffline.Offer(c.Layout, c.Count, c.Seed, c.Faults)
	if err != nil {
		return err
	}
	lists, err := simoffline.Lists()
	if err != nil {
		return err
	}
	maps.Copy(files, lists)
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return err
	}
	for _, f := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(c.Out, f), files[f], 0o600); err != nil {
			return err
		}
		fmt.Fprintln(s.out, filepath.Join(c.Out, f))
	}
	_, err = fmt.Fprintf(s.out, "配置 · in the config (messages: optional): %s导入 · then: switch offline import -c FILE --layout %s %s\n",
		simoffline.Section, c.Layout, filepath.Join(c.Out, name))
	return err
}
