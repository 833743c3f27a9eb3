package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"

	"tongka/config"
	"tongka/hsm"
	"tongka/registry/desk"
)

// keyColumns are the columns of exports that hold keys under the LMK, and of what type.
var keyColumns = map[string]map[string]hsm.KeyType{
	"terminals":  {"tmk": hsm.TMK, "transport": hsm.TMK, "pik": hsm.TPK, "mak": hsm.TAK},
	"transports": {"key": hsm.TMK},
}

// exportTable writes a table as CSV; with kcv a column NAME_kcv follows each column of
// keys, for people who compare them with key letters. An import does not take those:
// it would have to trust them, or to ask a module for each.
func exportTable(s *streams, file, table string, kcv bool) error {
	order := desk.Order{Table: table, Verb: "export"}
	if !kcv {
		return book(s, file, order, nil)
	}
	keys := keyColumns[table]
	if keys == nil {
		return fmt.Errorf("--kcv：%s 中没有密钥 · there are no keys in %s", table, table)
	}
	var plain bytes.Buffer
	to := *s
	to.out = &plain
	if err := book(&to, file, order, nil); err != nil {
		return err
	}
	rows, err := csv.NewReader(&plain).ReadAll()
	if err != nil {
		return err
	}
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	check, err := newChecker(cfg)
	if err != nil {
		return err
	}
	err = withCheckValues(csv.NewWriter(s.out), rows, keys, check)
	return errors.Join(err, check.close())
}

// withCheckValues writes rows, the first of them the names, with the check values that
// a module makes; of no key there is none.
func withCheckValues(w *csv.Writer, rows [][]string, keys map[string]hsm.KeyType, check *checker) error {
	names := rows[0]
	for i, row := range rows {
		var out []string
		for at, value := range row {
			out = append(out, value)
			kind, is := keys[names[at]]
			switch {
			case !is:
			case i == 0:
				out = append(out, value+"_kcv")
			case value == "":
				out = append(out, "")
			default:
				k, err := hsm.ParseKey(value)
				if err != nil {
					return fmt.Errorf("%s: %w", names[at], err)
				}
				out = append(out, check.of(kind, k))
			}
		}
		if err := w.Write(out); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
