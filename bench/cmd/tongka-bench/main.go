// Command tongka-bench is "switch bench" as a program of its own; it builds the
// switch from source.
package main

import (
	"os"

	"tongka/bench"
)

func main() { os.Exit(bench.Main(os.Args[1:], os.Stdout, os.Stderr)) }
