package main

import (
	"slices"

	"tongka/config"
	"tongka/keyfile"
)

// reopening is the config with which a process opens again after its successor
// failed. The successor may have put the stores under the key file that the changed
// config names before it failed, so what that config lists is read with as well. The
// running config's own file stays the newest: opening takes the stores back to it, and
// all is as if nobody had followed.
func reopening(running *config.Config, file string) *config.Config {
	fresh, err := config.Load(file)
	if err != nil {
		return running // then nobody has opened anything by it
	}
	again := *running
	again.Journal.OldKeys = slices.Clone(running.Journal.OldKeys)
	for _, path := range append([]string{fresh.Journal.KeyFile}, fresh.Journal.OldKeys...) {
		if path == again.Journal.KeyFile || slices.Contains(again.Journal.OldKeys, path) {
			continue
		}
		// What cannot be read sealed nothing, and must not hinder.
		if _, err := keyfile.CheckOf(path); err == nil {
			again.Journal.OldKeys = append(again.Journal.OldKeys, path)
		}
	}
	return &again
}
