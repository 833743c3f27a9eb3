package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/admin"
	"tongka/journal"
)

// A running switch gives a copy of its journal that the key opens, in a new folder
// of a folder that is there.
func TestCheckpointOfARunningSwitch(t *testing.T) {
	l := newLives(t)
	dir := t.TempDir()
	for what, says := range map[string]string{"copy": "absolute path", dir: "is there already", dir + "/no/such": "is no folder", dir + "/../x": "absolute path"} {
		if a := l.act(admin.Action{Verb: admin.Checkpoint, What: what}); a.OK || !strings.Contains(a.En, says) {
			t.Errorf("%s: %+v", what, a)
		}
	}
	to := filepath.Join(dir, "copy")
	if a := l.act(admin.Action{Verb: admin.Checkpoint, What: to}); !a.OK {
		t.Fatalf("%+v", a)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	key, err := journal.LoadKey(l.node.cfg.Journal.KeyFile, l.node.cfg.JournalDir())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := journal.OpenReadOnly(journal.Options{Dir: to, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
}
