package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm/payshield"
)

// A terminal signs in again while the MAC of its sale is with a module. The sale's
// repeat is of the old batch, but is not told so: that refusal would be final, and
// the sale is on its way.
func TestRepeatOfAnOldBatchWhileItsFirstIsSecured(t *testing.T) {
	w := newWorld(t)
	w.remote = true
	w.open(vfs.NewCrashableMem())
	server := payshield.NewServer(w.module, payshield.Dialect{HeaderLen: w.header})
	box := w.boxUp(2) // behind the two banks
	serve := func(frames [][]byte) {
		for ; len(frames) > 0; frames = w.take(box, conn.Binary2) {
			for _, f := range frames {
				w.shard.Frame(box, server.Answer(nil, f))
			}
			w.pass(0)
		}
	}
	signIn := func(p *pos) {
		p.send(0x0800, nil, func(b *iso8583.Builder) {
			p.identity(b)
			b.Put(60, []byte("00000001003"))
		})
		w.pass(0)
		serve(w.take(box, conn.Binary2))
		v := p.got()
		p.batch = string(v.AppendText(nil, 60)[2:8])
		p.pik, p.mak = p.unwrap(v.Field(62)[:20]), p.unwrap(v.Field(62)[20:])
	}
	bank := w.bankUp(0)
	w.terminalImported()
	p := &pos{w: w, id: w.connect(-1)}
	signIn(p)
	sale := p.sale(7, 1250, false)
	atModule, mak := w.take(box, conn.Binary2), p.mak
	signIn(p)
	w.shard.Frame(p.id, sale)
	w.pass(0)
	p.silent()
	serve(atModule)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	serve(w.take(box, conn.Binary2))
	p.mak = mak // that of the sale's session
	w.want("the sale", p.code(), "00")
	// Now that it has ended, the old batch is all that there is to say; it could
	// still be a lie, for the sale was approved.
	w.shard.Frame(p.id, sale)
	w.pass(0)
	p.silent()
}
