// Package cpuidle asks the kernel to keep processors awake.
//
// A processor that has nothing to do sleeps until an interrupt wakes it. On a virtual
// machine both the way to sleep and the way back go through the host, some 10 µs of
// processor time and 20 µs of waiting for each; on other machines deep states take as
// long. Linux takes wishes as to how long waking may take (PM QoS,
// Documentation/power/pm_qos_interface.rst, the device below): with zero, a processor
// without work polls for some. That counts as idle to the system, and as work to who
// pays for its power or for the virtual machine.
package cpuidle

import (
	"errors"
	"fmt"
	"os"
)

// Device is where the kernel takes wishes. It is root's, unless a rule of udev says
// otherwise.
const Device = "/dev/cpu_dma_latency"

// Wish is this process's. It holds for all processors of the machine and ends with the
// process, however that ends. The zero value is none, to the kernel's Device. It is for
// one goroutine.
type Wish struct {
	Device string // in the place of Device; empty: Device
	file   *os.File
}

// Make has processors stay awake until Drop; once is enough. The error is of a system
// that does not know of it, or does not allow it.
func (w *Wish) Make() error {
	if w.file != nil {
		return nil
	}
	name := w.Device
	if name == "" {
		name = Device
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cpuidle: %w", err)
	}
	if _, err := f.Write(make([]byte, 4)); err != nil { // a signed number of 32 bits: µs
		return errors.Join(fmt.Errorf("cpuidle: %w", err), f.Close())
	}
	w.file = f
	return nil
}

// Made says whether processors stay awake because of us.
func (w *Wish) Made() bool { return w.file != nil }

// Drop takes the wish back, if there is one.
func (w *Wish) Drop() error {
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	return f.Close()
}
