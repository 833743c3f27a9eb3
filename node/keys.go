package node

import (
	"context"
	"errors"
	"fmt"

	"tongka/admin"
	"tongka/config"
	"tongka/engine"
	"tongka/translate"
)

// askKeys asks a bank for a new PIN key, or MAC key. That it was asked is all that
// this says: the key comes when the bank likes, and the log shows its check value.
func (n *Node) askKeys(ctx context.Context, link, kind string) admin.Answer {
	err := n.shard.Do(ctx, engine.AskKeys{Link: link, MAC: kind == admin.MACKey})
	switch {
	case errors.Is(err, engine.ErrNoLink):
		return admin.Refused(fmt.Sprintf("没有线路 %q", link), fmt.Sprintf("no link %q", link))
	case errors.Is(err, engine.ErrNoZMK):
		return admin.Refused("线路 "+link+" 未配置 zmk，不能更换密钥", "link "+link+" has no zmk, so its keys cannot change")
	case errors.Is(err, engine.ErrNoZAK):
		return admin.Refused("线路 "+link+" 未配置 mac，没有 MAC 密钥", "link "+link+" has no mac, and so no MAC key")
	case errors.Is(err, engine.ErrNotUp):
		return admin.Refused("线路 "+link+" 无可用连接", "no line of "+link+" is up")
	case errors.Is(err, engine.ErrFull):
		return admin.Refused("线路 "+link+" 均为半双工且占用，稍后再试", "all lines of "+link+" are half-duplex and busy: try again")
	case err != nil:
		return admin.Failed("未能执行", "not done", err)
	}
	name := "PIN"
	if kind == admin.MACKey {
		name = "MAC"
	}
	return admin.Done("已向 "+link+" 申请新 "+name+" 密钥（0820，F70 101）；银行以 0800 送来，日志记其校验值",
		"asked "+link+" for a new "+name+" key (0820, F70 101); the bank brings it by an 0800, and the log shows its check value")
}

// linkMAC has a bank's messages carry MACs, if the link says so.
func linkMAC(l *config.Link, bank *translate.Bank) (engine.LinkMAC, error) {
	m := &l.MAC
	if !m.On() {
		return engine.LinkMAC{}, nil
	}
	rule := translate.MACRule{Field: m.Field, Whole: m.Data == "message", Fields: m.Fields, KeyFields: m.KeyFields, Raw: m.Raw}
	for _, name := range m.Classes() {
		c, _ := translate.ParseClass(name) // the config knows the same names
		rule.Of = append(rule.Of, c)
	}
	return engine.LinkMAC{Key: l.ZAK, Alg: m.Alg(), Check: m.CheckValue(), Hex: m.Form == "hex", Grace: l.KeyGrace,
		OldSeals: m.KeyChange == "old"}, bank.SetMAC(&rule)
}
