package main

import (
	"path/filepath"

	"tongka/admin"
)

// ordersCmd manages the orders that were paid online and wait for their card.
type ordersCmd struct {
	Import ordersImportCmd `cmd:"" help:"导入订单 CSV：number,family,serial,amount,until · take in a file of orders"`
	List   ordersListCmd   `cmd:"" help:"列出订单 · list orders"`
	Cancel ordersCancelCmd `cmd:"" help:"取消尚未写卡的订单 · cancel an order that was not begun"`
}

// ordersImportCmd has the switch read a file of this machine.
type ordersImportCmd struct {
	ctlFlags
	File string `arg:"" type:"existingfile" help:"文件 · file"`
}

// Run asks for it.
func (c *ordersImportCmd) Run(s *streams) error {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	return c.act(s, admin.Action{Verb: admin.OrdersImport, What: path})
}

// ordersListCmd lists them.
type ordersListCmd struct {
	ctlFlags
	Which string `arg:"" default:"all" help:"all，状态（paid、loading、loaded、cancelled），或订单号 · all, a state, or a number"`
}

// Run asks for it.
func (c *ordersListCmd) Run(s *streams) error {
	return c.act(s, admin.Action{Verb: admin.OrdersList, What: c.Which})
}

// ordersCancelCmd takes one back.
type ordersCancelCmd struct {
	ctlFlags
	Number string `arg:"" help:"订单号 · number"`
}

// Run asks for it.
func (c *ordersCancelCmd) Run(s *streams) error {
	return c.act(s, admin.Action{Verb: admin.OrderCancel, What: c.Number})
}
