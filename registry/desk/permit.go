package desk

import (
	"fmt"
	"strings"
	"time"

	"tongka/txn"
)

// mostPermit is how long a permission to download a master key may hold: it is for
// a terminal on somebody's table.
const mostPermit = 30 * 24 * time.Hour

// permit lets a terminal download a master key once, for as long as the order's
// value says; "off" takes a permission back.
func (d *Desk) permit(o Order) (Result, error) {
	var id txn.Terminal
	merchant, number, ok := strings.Cut(o.Key, "/")
	if !ok || len(merchant) > len(id.Merchant) || len(number) > len(id.Number) {
		return Result{}, fmt.Errorf("须为 商户/终端 · MERCHANT/TERMINAL wanted: %q", o.Key)
	}
	copy(id.Merchant[:], fmt.Sprintf("%-15s", merchant))
	copy(id.Number[:], fmt.Sprintf("%-8s", number))
	r := Result{What: "terminals " + o.Key, Before: d.permitted(&id), Changed: true}
	if o.Value == "off" {
		r.Text, r.After = fmt.Sprintf("%s: 已收回下载主密钥的许可 · may not download a master key any more\n", o.Key), "none"
		return r, d.Registry.Permit(&id, 0)
	}
	hold, err := time.ParseDuration(o.Value)
	if err != nil || hold <= 0 || hold > mostPermit {
		return Result{}, fmt.Errorf("时长 %q 须为 1s 至 %v · for %q: 1s to %v wanted", o.Value, mostPermit, o.Value, mostPermit)
	}
	until := time.Now().Add(hold)
	r.After = "until " + until.Format(time.DateTime)
	r.Text = fmt.Sprintf("%s: 可下载主密钥一次，至 · may download a master key once, until %s\n", o.Key, until.Format(time.DateTime))
	return r, d.Registry.Permit(&id, until.UnixNano())
}

func (d *Desk) permitted(id *txn.Terminal) string {
	if permit, until := d.Registry.Permitted(id, time.Now().UnixNano()); permit != 0 {
		return "until " + time.Unix(0, until).Format(time.DateTime)
	}
	return "none"
}
