package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// child is a process; dead says that it has ended and was not waited for.
type child struct {
	pid  int
	dead bool
}

// children are the processes whose parent is pid.
func children(pid int) (all []child) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, state := parentOf(n); parent == pid {
			all = append(all, child{n, state == 'Z' || state == 'X'})
		}
	}
	return all
}

// parentOf gives the parent and the state of a process; 0 when it is gone (source:
// proc_pid_stat(5): the name in parentheses may hold anything).
func parentOf(pid int) (parent int, state byte) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 2 {
		return 0, 0
	}
	parent, err = strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0, 0
	}
	return parent, fields[0][0]
}

// resident is what a process holds in memory, in bytes (source: proc_pid_statm(5)).
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0, errGone
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}
