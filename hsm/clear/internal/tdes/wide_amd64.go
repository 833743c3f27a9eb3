package tdes

import "golang.org/x/sys/cpu"

// wide says that this machine has the instructions of wide_amd64.s. The package cpu
// asks the system, too, whether it keeps their registers.
var wide = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VBMI && cpu.X86.HasAVX512GFNI

// lay brings the round keys of a group from where they are kept into the order of
// work.keys.
//
//go:noescape
func lay(to *[2 * rounds][4 * Lanes]byte, from *[Lanes]*schedule, t *tables)

// twice encrypts all lanes' first blocks, then the sums of the results and the
// second blocks; third are the keys of the last step.
//
//go:noescape
func twice(w *work, third *[2 * rounds][4 * Lanes]byte, t *tables)
