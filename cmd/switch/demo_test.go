package main

import (
	"strings"
	"testing"
)

// A value that one machine cannot play is refused before anything starts, and
// the line says in both languages what would do.
func TestDemoRefusesWhatOneMachineCannotPlay(t *testing.T) {
	for args, says := range map[string]string{
		"--for 999ms":      "须为 1s 至 1h · wanted 1s to 1h",
		"--for 61m":        "须为 1s 至 1h · wanted 1s to 1h",
		"--terminals 0":    "须为 1 至 2000 · wanted 1 to 2000",
		"--terminals 2001": "须为 1 至 2000 · wanted 1 to 2000",
		"--rate 0":         "须大于 0，至多 20000 · wanted above 0, at most 20000",
		"--rate 20001":     "须大于 0，至多 20000 · wanted above 0, at most 20000",
	} {
		var out, errs strings.Builder
		code := run(append([]string{"demo"}, strings.Fields(args)...), strings.NewReader(""), &out, &errs)
		if code != exitUsage || out.Len() > 0 {
			t.Errorf("demo %s: exit %d, want %d; stdout %q", args, code, exitUsage, &out)
		}
		if !strings.Contains(errs.String(), says) || strings.Contains(errs.String(), "缺少参数") {
			t.Errorf("demo %s: says %q, want %q", args, &errs, says)
		}
	}
}
