// Command switch is Tongka: the switch itself, and the tools around it.
//
//	switch check -c tongka.yaml     what a config would run, or all that is wrong with it
//	switch run -c tongka.yaml       run it
//	switch decode 0200…             read a message, byte by byte
//	switch sim bank --listen …      a bank to play against
//
// Exit codes: 0 done; 1 refused or failed, with the reason on standard error;
// 2 not a command line that this program has.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
