// Package dialects finds dialects by name: those that are built into the codec,
// and those that users declare in files.
package dialects

import (
	"fmt"
	"os"
	"strings"

	"tongka/codec/iso8583"
)

// Open gives the dialect of a name: a built-in one (pos, cups, 87A, whatever the
// case), or the one that the file at that path declares. A built-in name goes
// before a file of the same name; write ./pos for the file. It reads and compiles,
// so it is for start-up. The error is in Chinese and English and lists what is
// built in.
func Open(nameOrPath string) (*iso8583.Spec, error) {
	if s, ok := iso8583.Named(nameOrPath); ok {
		return s, nil
	}
	_, err := os.Stat(nameOrPath)
	if err == nil {
		err = fmt.Errorf("不是方言文件 · no dialect file")
	}
	return nil, fmt.Errorf("方言 · dialect %q: %w; 内置 · built in: %s", nameOrPath, err, strings.Join(Names(), ", "))
}

// Names are those of the built-in dialects.
func Names() []string {
	var names []string
	for _, s := range iso8583.Builtin() {
		names = append(names, s.Name())
	}
	return names
}
