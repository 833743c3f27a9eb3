package engine

import (
	"bytes"
	"fmt"
	"testing"

	"tongka/codec/iso8583"
)

// loads sends one request of a download and gives F39 and F62 of the answer.
func (p *pos) loads(mti iso8583.MTI, net, f62 string) (code string, block []byte) {
	p.w.t.Helper()
	p.send(mti, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 3)
		p.identity(b)
		b.Put(60, []byte("00000000"+net))
		if f62 != "" {
			b.Put(62, []byte(f62))
		}
	})
	p.w.pass(0)
	v := p.got()
	return string(v.Field(39)), bytes.Clone(v.Field(62))
}

func TestDownloadInBlocks(t *testing.T) {
	w := newWorld(t)
	data := bytes.Repeat([]byte("0123456789"), 130)
	w.shape = func(c *Config) {
		c.Day.Downloads = []Download{{Code: 360, Groups: []uint16{7}, Data: []byte("of others")}, {Code: 360, Version: "4", Data: data, Block: 500},
			{Code: 390, Data: data}, {Code: 380, Data: []byte("short")}}
	}
	w.crash()
	w.terminalImported()
	p := &pos{w: w, id: w.connect(-1)}

	// Block by block, until the first byte says that it is the last.
	var got []byte
	for n := 1; ; n++ {
		code, block := p.loads(0x0800, "360", fmt.Sprint(n))
		if code != "00" || len(block) > 501 {
			t.Fatalf("block %d: F39 %s, %d bytes", n, code, len(block))
		}
		got = append(got, block[1:]...)
		if block[0] != '2' {
			w.want("the last", fmt.Sprint(n)+string(block[:1]), "31")
			break
		}
	}
	if !bytes.Equal(got, data) {
		t.Errorf("loaded %d bytes of %d, or others", len(got), len(data))
	}
	code, block := p.loads(0x0800, "361", "")
	w.want("the end", code+string(block), "00")

	for _, c := range []struct {
		what, mtiNet, f62, code, answer string
	}{
		{"without a number", "0800380", "", "00", "1short"},
		{"nothing under the code", "0800370", "", "00", "0"},
		{"a block that is not there", "0800360", "4", "30", ""},
		{"block zero", "0800360", "0", "30", ""},
		{"a block far away", "0800360", "999999", "30", ""},
		{"a number too long", "0800360", "0000001", "30", ""},
		{"no number", "0800360", "one", "30", ""},
		{"holds the newest", "0820362", "4", "00", "0"},
		{"holds an old one", "0820362", "3", "00", "24"},
		{"holds nothing", "0820362", "", "00", "24"},
		{"holds too much to say", "0820362", string(data[:33]), "30", ""},
		{"initialisation", "0800101", "", "00", "0"},
		{"a code between", "0800365", "", "40", ""},
		{"a status of what has none", "0820392", "", "40", ""},
	} {
		mti := iso8583.MTI(0x0800)
		if c.mtiNet[:4] == "0820" {
			mti = 0x0820
		}
		code, block := p.loads(mti, c.mtiNet[4:], c.f62)
		w.want(c.what, code+string(block), c.code+c.answer)
	}
	// As much as the field holds, where no size is given.
	room := w.shard.cfg.Listeners[0].Door.BlockRoom
	_, block = p.loads(0x0800, "390", "")
	w.want("a full block", fmt.Sprint(len(block))+string(block[:1]), fmt.Sprint(room)+"2")

	w.shard.cfg.Day.Signals = Signals{'N', 'E', 'M'}
	_, block = p.loads(0x0800, "370", "")
	w.want("by another signal", string(block), "N")
}
