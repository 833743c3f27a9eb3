package sim

import "errors"

// Provision makes n test terminals and the text that registers them: CSV with
// the columns merchant,terminal,tmk,mac, keys under the public test LMK. The
// same seed gives the same terminals, so the two programs need no common file.
func Provision(n int, seed uint64) (terminals []TerminalConfig, csv []byte, err error) {
	return nil, nil, errors.ErrUnsupported
}
