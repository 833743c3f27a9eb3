package node

import (
	"context"
	"errors"
	"fmt"

	"tongka/admin"
	"tongka/engine"
)

// askKeys asks a bank for a new PIN key. That it was asked is all that this says:
// the key comes when the bank likes, and the log shows its check value.
func (n *Node) askKeys(ctx context.Context, link string) admin.Answer {
	err := n.shard.Do(ctx, engine.AskKeys{Link: link})
	switch {
	case errors.Is(err, engine.ErrNoLink):
		return admin.Refused(fmt.Sprintf("没有线路 %q", link), fmt.Sprintf("no link %q", link))
	case errors.Is(err, engine.ErrNoZMK):
		return admin.Refused("线路 "+link+" 未配置 zmk，不能更换密钥", "link "+link+" has no zmk, so its keys cannot change")
	case errors.Is(err, engine.ErrNotUp):
		return admin.Refused("线路 "+link+" 无可用连接", "no line of "+link+" is up")
	case errors.Is(err, engine.ErrFull):
		return admin.Refused("线路 "+link+" 均为半双工且占用，稍后再试", "all lines of "+link+" are half-duplex and busy: try again")
	case err != nil:
		return admin.Failed("未能执行", "not done", err)
	}
	return admin.Done("已向 "+link+" 申请新 PIN 密钥（0820，F70 101）；银行以 0800 送来，日志记其校验值",
		"asked "+link+" for a new PIN key (0820, F70 101); the bank brings it by an 0800, and the log shows its check value")
}
