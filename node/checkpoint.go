package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tongka/admin"
)

// checkpoint makes a copy of the journal in a new folder. Who may use the admin
// door may do it: what is in the journal stays sealed.
func (n *Node) checkpoint(dir string) admin.Answer {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir {
		return admin.Refused(fmt.Sprintf("%q 须为绝对路径", dir), fmt.Sprintf("%q is no absolute path", dir))
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return admin.Refused(dir+" 已存在", dir+" is there already")
	}
	// Pebble would make all folders above it, of a mistyped path too.
	if info, err := os.Stat(filepath.Dir(dir)); err != nil || !info.IsDir() {
		return admin.Refused(filepath.Dir(dir)+" 不是目录", filepath.Dir(dir)+" is no folder")
	}
	if err := errors.Join(n.journal.Checkpoint(dir), os.Chmod(dir, 0o700)); err != nil {
		return admin.Failed("快照未完成", "the checkpoint was not made", err)
	}
	return admin.Done("流水快照在 "+dir, "the checkpoint of the journal is in "+dir)
}
