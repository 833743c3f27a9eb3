package main

import (
	"errors"
	"fmt"
	"io"

	"tongka/fault"
)

// explainCmd says what fault codes mean.
type explainCmd struct {
	Code string `arg:"" optional:"" help:"故障码，如 TK-1001；不给则列出全部 · a code such as TK-1001; all are listed when left out"`
	JSON bool   `help:"输出 JSON · write JSON"`
}

// toldFault is a fault as JSON.
type toldFault struct {
	Code   string `json:"code"`
	Alarm  bool   `json:"alarm"`
	ZH     string `json:"zh"`
	EN     string `json:"en"`
	HintZH string `json:"hint_zh"`
	HintEN string `json:"hint_en"`
}

// Run prints one fault with its hint, or all of them.
func (c *explainCmd) Run(s *streams) error {
	some := fault.All()
	if c.Code != "" {
		f, ok := fault.Find(c.Code)
		if !ok {
			return fmt.Errorf("没有故障码 %q，switch explain 列出全部 · there is no fault %q, switch explain lists them", c.Code, c.Code)
		}
		some = []fault.Fault{f}
	}
	told := make([]toldFault, len(some))
	for i, f := range some {
		told[i] = toldFault{f.Code.String(), f.Alarm, f.ZH, f.EN, f.HintZH, f.HintEN}
	}
	switch {
	case c.JSON && c.Code != "":
		return writeJSON(s.out, told[0])
	case c.JSON:
		return writeJSON(s.out, told)
	}
	var err error
	for i := range told {
		err = errors.Join(err, printFault(s.out, &told[i], c.Code != ""))
	}
	return err
}

func printFault(w io.Writer, f *toldFault, whole bool) error {
	mark := ""
	if f.Alarm {
		mark = "（告警 · alarm）"
	}
	_, err := fmt.Fprintf(w, "%s%s %s · %s\n", f.Code, mark, f.ZH, f.EN)
	if err == nil && whole {
		_, err = fmt.Fprintf(w, "  处理 · what to do: %s · %s\n", f.HintZH, f.HintEN)
	}
	return err
}
