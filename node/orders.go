package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tongka/admin"
	"tongka/card"
	"tongka/engine"
	"tongka/registry/sheet"
	"tongka/translate"
)

// Columns of a file of orders; until is the last day, at the switch's time of day.
var orderColumns = []string{"number", "family", "serial", "amount", "until"}

const (
	colNumber = iota
	colFamily
	colSerial
	colAmount
	colUntil
)

// Bounds of what people do with orders: lines of a file, orders that one turn
// of the shard takes in, lines of a list.
const (
	mostOrders  = 1_000_000
	turnOrders  = 500
	shownOrders = 1000
)

// readOrders reads a file of orders, with all that is wrong in it.
func readOrders(in io.Reader, name string) (orders []card.Order, err error) {
	t := sheet.Open(in, name, orderColumns, len(orderColumns))
	for t.Next() {
		o := card.Order{Family: card.Family(t.Word(colFamily, []string{"city", "t-union"}) + 1), Amount: uint32(t.Number(colAmount, 0, 100_000_000))}
		v, at := t.Field(colNumber)
		var ok bool
		if o.Number, ok = card.ParseNumber([]byte(v)); !ok {
			t.FaultAt(at, "订单号须为 1 至 20 个字母、数字或 - · number: 1 to 20 letters, digits or dashes wanted")
		}
		v, at = t.Field(colSerial)
		if n, err := hex.Decode(o.Serial[:], []byte(v[:min(len(v), 2*len(o.Serial))])); err != nil || n != len(o.Serial) || len(v) != 2*n {
			t.FaultAt(at, "序列号须为 20 位十六进制 · serial: 20 hexadecimal digits wanted")
		}
		if _, at = t.Field(colAmount); o.Amount == 0 {
			t.FaultAt(at, "金额须大于 0，单位分 · amount: above zero, in fen")
		}
		v, at = t.Field(colUntil)
		day, err := time.ParseInLocation(time.DateOnly, v, translate.Zone)
		if err != nil {
			t.FaultAt(at, "日期 %q 须如 2026-12-31 · date %q, wanted such as 2026-12-31", v, v)
		}
		o.Until = day.AddDate(0, 0, 1).UnixNano()
		if t.Faulty() {
			continue // nothing will be taken: what follows is read for its faults
		}
		if orders = append(orders, o); len(orders) > mostOrders {
			return nil, fmt.Errorf("%s:%d: 超过 %d 行 · more than %d lines", name, t.Line(), mostOrders, mostOrders)
		}
	}
	return orders, t.Verdict()
}

// importOrders takes a file of this machine in, some orders a turn. What was taken
// in before a refusal stays, and a second import of the file passes over it.
func (n *Node) importOrders(ctx context.Context, path string) admin.Answer {
	f, err := os.Open(path)
	if err != nil {
		return admin.Failed("文件不可读", "the file cannot be read", err)
	}
	defer f.Close()
	orders, err := readOrders(f, path)
	if err != nil {
		return admin.Failed("文件有误，未导入", "the file is not right, nothing was taken in", err)
	}
	added := 0
	for at := 0; at < len(orders); at += turnOrders {
		c := engine.AddOrders{Orders: orders[at:min(at+turnOrders, len(orders))]}
		if err := n.shard.Do(ctx, &c); err != nil {
			return admin.Failed(fmt.Sprintf("已导入 %d 个订单，之后中止", added), fmt.Sprintf("stopped after %d orders", added), err)
		}
		added += c.Added
	}
	a := admin.Done(fmt.Sprintf("导入 %d 个订单，%d 个已有", added, len(orders)-added), fmt.Sprintf("%d orders taken in, %d were there", added, len(orders)-added))
	a.After = fmt.Sprintf("+%d", added)
	return a
}

// cancelOrder takes an order back that was not begun.
func (n *Node) cancelOrder(ctx context.Context, number string) admin.Answer {
	c := engine.CancelOrder{}
	var ok bool
	if c.Number, ok = card.ParseNumber([]byte(number)); !ok {
		return admin.Refused("订单号有误", "no order number")
	}
	if err := n.shard.Do(ctx, &c); err != nil {
		return admin.Failed("订单未取消", "the order was not cancelled", err)
	}
	a := admin.Done("订单已取消", "the order is cancelled")
	a.Before, a.After = c.Was.State.String(), card.Cancelled.String()
	return a
}

var errShownAll = errors.New("enough")

// listOrders lists orders of a state, or all, or one by its number. It reads
// beside the shard.
func (n *Node) listOrders(which string) admin.Answer {
	var text []byte
	lines, more := 0, false
	err := n.journal.NewReader().Each([]byte(engine.OrderPrefix), func(_, plain []byte) error {
		o, err := card.ReadOrder(plain)
		if err != nil {
			return err
		}
		if which != "all" && which != o.State.String() && which != o.Number.String() {
			return nil
		}
		if lines++; lines > shownOrders {
			more = true
			return errShownAll
		}
		day := time.Unix(0, o.Until-1).In(translate.Zone).Format(time.DateOnly)
		text = fmt.Appendf(text, "%s,%v,%d,%s,%v,%d\n", o.Number, o.Serial, o.Amount, day, o.State, o.Load)
		return nil
	})
	if err != nil && !errors.Is(err, errShownAll) {
		return admin.Failed("订单不可读", "orders cannot be read", err)
	}
	a := admin.Done(fmt.Sprintf("%d 个订单", min(lines, shownOrders)), fmt.Sprintf("%d orders", min(lines, shownOrders)))
	if more {
		a.Lines = append(a.Lines, "另有未列出 · there are more")
	}
	a.Text = "number,card,amount,until,state,load\n" + string(text)
	return a
}
