//go:build !linux

package pace

// settle does nothing where a range of a file cannot be waited for.
func settle(uintptr, int64, int64) {}

// letGo does nothing where the system is not told what it need not keep.
func letGo(uintptr, int64, int64) {}
