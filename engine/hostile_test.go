package engine

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/payshield"
	"tongka/txn"
)

// Interleavings that have cost money elsewhere, one test each. TestChaos looks
// for those that nobody has thought of.

// rack is a world with one security module behind a socket, which answers when
// the test wants it to.
type rack struct {
	*world
	server *payshield.Server
	box    conn.ID
}

func newRack(t *testing.T) *rack {
	w := newWorld(t)
	w.remote = true
	w.open(vfs.NewCrashableMem())
	return newRackOf(w)
}

func newRackOf(w *world) *rack {
	return &rack{world: w, server: payshield.NewServer(w.module, payshield.Dialect{HeaderLen: 8}), box: w.boxUp(2)}
}

// commands are what the module was asked since the last call.
func (r *rack) commands() [][]byte { return r.take(r.box, conn.Binary2) }

func (r *rack) answer(command []byte) {
	r.shard.Frame(r.box, r.server.Answer(nil, command))
	r.pass(0)
}

// serve answers until nothing is asked.
func (r *rack) serve() {
	for q := r.commands(); len(q) > 0; q = r.commands() {
		for _, c := range q {
			r.answer(c)
		}
	}
}

// terminal signs in with the module's help.
func (r *rack) terminal() *pos {
	r.t.Helper()
	r.terminalImported()
	p := &pos{w: r.world, id: r.connect(-1)}
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		p.identity(b)
		b.Put(60, []byte("00000001003"))
	})
	r.pass(0)
	r.serve()
	v := p.got()
	p.batch = string(v.AppendText(nil, 60)[2:8])
	p.pik, p.mak = p.unwrap(v.Field(62)[:20]), p.unwrap(v.Field(62)[20:])
	return p
}

// crashed starts again from what was synced, with the bank and the terminal
// connected anew.
func (w *world) crashed(p *pos) (bank conn.ID) {
	w.t.Helper()
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	bank = w.connect(0)
	w.pass(0)
	for _, f := range w.take(bank, conn.ASCII4) {
		q := w.parse(iso8583.Cups(), f)
		w.bankSays(bank, q.MTI().Reply(), func(b *iso8583.Builder) {
			b.Copy(7, q, 7)
			b.Copy(11, q, 11)
			b.Put(39, []byte("00"))
			b.Copy(70, q, 70)
		})
	}
	p.id = w.connect(-1)
	return bank
}

// approved makes one approved sale.
func (p *pos) approved(bank conn.ID, trace, amount uint64) (frame []byte) {
	p.w.t.Helper()
	frame = p.sale(trace, amount, false)
	p.w.bankAnswers(bank, p.w.bankGot(bank), "00")
	if c := p.code(); c != "00" {
		p.w.t.Fatalf("sale %d: F39 %s", trace, c)
	}
	return frame
}

func (w *world) want(what string, got, want any) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// idle checks that no slot, command or trace number is held.
func (w *world) idle() {
	w.t.Helper()
	w.want("free slots", len(w.shard.free), len(w.shard.slots))
	w.want("free commands", w.shard.pool.Free(), w.shard.pool.Places())
	for stan := range w.shard.pending.tab {
		if r := w.shard.pending.tab[stan].ref; r != neverUsed && r < wasExpired {
			w.t.Errorf("trace number %d is still pending", stan)
		}
	}
}

func TestLateReplyOfTheModuleMeetsAnotherTransaction(t *testing.T) {
	r := newRack(t)
	bank := r.bankUp(0)
	p := r.terminal()
	p.sale(7, 1250, true)
	r.answer(r.commands()[0]) // the MAC
	late := r.commands()[0]   // the PIN, not answered yet
	p.send(0x0400, p.mak, p.money(7, 1250, false, "98"))
	r.pass(0)
	for _, c := range r.commands() { // the reversal's MAC, and then the answer's
		r.answer(c)
	}
	r.serve()
	r.want("the reversal", p.code(), "00")
	r.bankSilent(bank) // nothing was sent, so nothing is owed
	for trace := uint64(8); trace < 8+64; trace++ {
		p.sale(trace, 100, true) // on every slot, the cancelled one's too
	}
	for _, c := range r.commands() {
		r.answer(c) // each waits for its PIN now
	}
	r.answer(late)
	for i := range r.shard.slots {
		if sl := &r.shard.slots[i]; sl.State == flow.Waiting {
			t.Errorf("slot %d went on with another transaction's PIN", i)
		}
	}
	r.bankSilent(bank)
}

func TestTraceNumbersWrap(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	w.shard.lastID = 999_998
	p.sale(1, 100, false)
	first := w.bankGot(bank)
	w.want("F11", string(first.Field(11)), "999999")
	p.sale(2, 200, false)
	second := w.bankGot(bank)
	w.want("F11 after the last", string(second.Field(11)), "000001")
	w.shard.lastID += 999_997 // once round: 999999 and 000001 are in flight still
	p.sale(3, 300, false)
	third := w.bankGot(bank)
	w.want("F11 a round later", string(third.Field(11)), "000002")
	w.bankAnswers(bank, first, "00")
	w.bankAnswers(bank, third, "51")
	w.bankAnswers(bank, second, "00")
	for i, want := range []string{"00", "51", "00"} {
		v := w.parse(iso8583.Pos(), w.take1(p.id, i))
		w.want("F39", string(v.Field(39)), want)
	}
	w.idle()
}

// take1 gives the i-th write to a connection, without its length.
func (w *world) take1(id conn.ID, i int) []byte {
	w.t.Helper()
	if i >= len(w.sent[id]) {
		w.t.Fatalf("%d writes, want more than %d", len(w.sent[id]), i)
	}
	frame, _, err := conn.Binary2.Next(w.sent[id][i])
	if err != nil {
		w.t.Fatal(err)
	}
	return frame
}

func TestLateAnswerForATraceNumberThatServesAnother(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	old := w.bankGot(bank)
	w.pass(11 * time.Second)
	w.want("the first", p.code(), "98")
	w.bankAnswers(bank, w.bankGot(bank), "00") // its reversal
	stan, _ := old.Uint(11)
	w.shard.lastID += 1_000_000 - (w.shard.lastID - txn.ID(stan)) - 1
	p.sale(8, 1250, false)
	young := w.bankGot(bank)
	w.want("the trace number", string(young.Field(11)), string(old.Field(11)))
	w.bankAnswers(bank, old, "00") // same trace number, same amount, another reference number
	p.silent()
	w.want("unmatched", w.shard.stats.Unmatched, uint64(1))
	w.bankAnswers(bank, young, "51")
	w.want("the second", p.code(), "51")
}

func TestAnswerOnTheWrongLine(t *testing.T) {
	w := newWorld(t)
	a, b := w.bankUp(0), w.bankUp(1)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(a)
	w.bankAnswers(b, q, "00")
	p.silent()
	w.bankAnswers(a, q, "51")
	w.want("F39", p.code(), "51")
	w.want("unmatched", w.shard.stats.Unmatched, uint64(1))
}

func TestAnswerAfterTheLineWasDialledAgain(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	w.shard.Closed(bank, io.EOF)
	w.pass(time.Second)
	bank = w.bankUp(0)
	w.bankAnswers(bank, q, "00")
	w.want("F39", p.code(), "00")
	w.want("owed", w.shard.owed.Total(), 0)
	w.idle()
}

func TestReversalOvertakesAndTheProcessDies(t *testing.T) {
	w := newWorld(t)
	w.bankUp(0)
	p := w.terminal()
	p.reverse(7, 1250)
	w.want("the reversal", p.code(), "25")
	bank := w.crashed(p)
	p.sale(7, 1250, false)
	w.want("the sale", p.code(), "94")
	w.bankSilent(bank)
	p.reverse(7, 1250)
	w.want("the reversal again", p.code(), "25")
}

func TestReversedThenCrashThenTheSaleAgain(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.approved(bank, 7, 1250)
	p.reverse(7, 1250)
	w.want("the reversal", p.code(), "00")
	w.bankAnswers(bank, w.bankGot(bank), "00")
	bank = w.crashed(p)
	w.want("owed", w.shard.owed.Total(), 0) // settled is settled
	w.shard.Frame(p.id, frame)
	w.pass(0)
	w.want("the sale again", p.code(), "94")
	p.reverse(7, 1250)
	w.want("the reversal again", p.code(), "00")
	w.bankSilent(bank)
}

func TestCrashInTheRecovery(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	rrn := string(w.bankGot(bank).Field(37))
	for range 3 {
		w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
		w.want("owed", w.shard.owed.Total(), 1)
	}
	bank = w.bankUp(0)
	r := w.bankGot(bank)
	w.want("the reversal's reference number", string(r.Field(37)), rrn)
	w.bankAnswers(bank, r, "00")
	bank = w.crashed(p)
	w.want("owed after it was settled", w.shard.owed.Total(), 0)
	w.shard.Frame(p.id, frame)
	w.pass(0)
	w.want("the repeat", p.code(), "98")
	w.bankSilent(bank)
}

// TestCrashBetweenCommitAndSync ends the process while the disk writes: the
// outcome may or may not be there, and both must be right.
func TestCrashBetweenCommitAndSync(t *testing.T) {
	for _, percent := range []int{0, 100} {
		w := newWorld(t)
		bank := w.bankUp(0)
		p := w.terminal()
		frame := p.sale(7, 1250, false)
		q := w.bankGot(bank)
		w.log.failSync = errDisk
		w.bankAnswers(bank, q, "00")
		p.silent()
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: chaosRand(7)}
		w.open(w.fs.(*vfs.MemFS).CrashClone(cfg))
		w.fatal = nil
		owed := w.shard.owed.Total()
		bank = w.bankUp(0)
		w.take(bank, conn.ASCII4)
		p.id = w.connect(-1)
		w.shard.Frame(p.id, frame)
		w.pass(0)
		if c := p.code(); c != map[int]string{0: "00", 1: "98"}[owed] {
			t.Errorf("%d %%: told %s with %d reversals owed", percent, c, owed)
		}
	}
}

func TestReversalsInOneTurnAreOneDebt(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.approved(bank, 7, 1250)
	for range 3 {
		p.send(0x0400, p.mak, p.money(7, 1250, false, "98"))
	}
	w.pass(0)
	w.want("answers", len(w.take(p.id, conn.Binary2)), 3)
	w.want("the reversal", w.bankGot(bank).MTI(), iso8583.MTI(0x0420))
	w.want("owed", w.shard.owed.Total(), 1)
}

func TestAnswerAndReversalInOneTurn(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	p.send(0x0400, p.mak, p.money(7, 1250, false, "98"))
	w.bankAnswers(bank, q, "00") // too late, by a moment
	v := p.got()
	w.want("what the terminal hears", v.MTI(), iso8583.MTI(0x0410))
	w.want("late answers", w.shard.stats.LateAnswers, uint64(1))
	w.want("the reversal", w.bankGot(bank).MTI(), iso8583.MTI(0x0420))
	w.idle()
}

func TestSignInDuringASale(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	old, batch := p.mak, p.batch
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	p.signIn()
	young := p.mak
	w.bankAnswers(bank, q, "00")
	p.mak = old // the answer is sealed as its request was
	w.want("F39", p.code(), "00")
	p.mak = young // and the terminal that cannot read it reverses, naming the old batch
	p.send(0x0400, p.mak, func(b *iso8583.Builder) {
		p.money(7, 1250, false, "A0")(b)
		b.Put(61, []byte(batch+"000007"))
	})
	w.pass(0)
	w.want("the reversal", p.code(), "00")
	w.want("what the bank hears", w.bankGot(bank).MTI(), iso8583.MTI(0x0420))
}

func TestSessionEndsWhileTheBankThinks(t *testing.T) {
	w := newWorld(t)
	p := w.terminal()
	w.pass(24*time.Hour - 5*time.Second)
	bank := w.bankUp(0)
	frame := p.sale(7, 1250, false)
	q := w.bankGot(bank)
	w.pass(6 * time.Second)
	w.shard.Frame(p.id, frame) // a repeat, its session over: not told 77, for the first may be booked
	w.pass(0)
	p.silent()
	w.bankAnswers(bank, q, "00")
	w.want("F39", p.code(), "00")
	p.sale(8, 1250, false)
	v := w.parse(iso8583.Pos(), w.take1(p.id, 0))
	w.want("the next sale", string(v.Field(39)), "77")
}

func TestImportWhileAConnectionKnowsItsTerminal(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	csv := "merchant,terminal,tmk,mac,kinds\n" + terminalMerchant + "," + terminalNumber + "," + w.wrap(hsm.TMK, tmkClear).String() + ",unionpay,"
	allow := func(kinds string) {
		t.Helper()
		if _, _, err := w.reg.Import(strings.NewReader(csv+kinds+"\n"), "t.csv"); err != nil {
			t.Fatal(err)
		}
	}
	allow("echo")
	w.bankAnswers(bank, q, "00")
	w.want("the sale that was in flight", p.code(), "00")
	p.sale(8, 1250, false)
	w.want("the next, on the same connection", p.code(), "58")
	w.bankSilent(bank)
	allow("-")
	p.reverse(7, 1250)
	w.want("the reversal, of one that is barred", p.code(), "58")
	allow("echo")
	p.reverse(7, 1250)
	w.want("the reversal, which no list of kinds keeps out", p.code(), "00")
}

func TestTwoTerminalsWithOneTraceNumber(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	csv := "merchant,terminal,tmk,mac\n" + terminalMerchant + ",T0000002," + w.wrap(hsm.TMK, tmkClear).String() + ",unionpay\n"
	if _, _, err := w.reg.Import(strings.NewReader(csv), "t.csv"); err != nil {
		t.Fatal(err)
	}
	first := terminalNumber
	terminalNumber = "T0000002"
	o := &pos{w: w, id: w.connect(-1)}
	o.signIn()
	o.sale(7, 1250, false)
	theirs := w.bankGot(bank)
	terminalNumber = first
	p.sale(7, 1250, false)
	ours := w.bankGot(bank)
	if bytes.Equal(theirs.Field(11), ours.Field(11)) || bytes.Equal(theirs.Field(37), ours.Field(37)) {
		t.Error("the bank cannot tell the two")
	}
	w.bankAnswers(bank, ours, "51")
	w.bankAnswers(bank, theirs, "00")
	w.want("ours", p.code(), "51")
	w.want("theirs", o.code(), "00")
}

func TestRepeatOnAnotherConnection(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	q := w.bankGot(bank)
	gone := p.id
	w.shard.Closed(gone, io.EOF)
	p.id = w.connect(-1)
	w.shard.Frame(p.id, frame)
	w.pass(0)
	w.bankSilent(bank)
	w.bankAnswers(bank, q, "00")
	w.want("F39", p.code(), "00")
	w.want("writes to the connection that is gone", len(w.sent[gone]), 0)
	w.idle()
}

func TestConnectionEndsBeforeItsAnswerIsSealed(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	older := p.sale(6, 100, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	first := w.take(p.id, conn.Binary2)
	frame := p.sale(7, 1250, false)
	q := w.bankGot(bank)
	b := iso8583.Cups().Begin(iso8583.AppendCupsHeader(nil, "48023310", "00010000"), 0x0210)
	b.Copy(11, q, 11)
	b.Copy(37, q, 37)
	b.Put(39, []byte("00"))
	answer, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	iso8583.PatchCupsLength(answer, len(answer))
	w.shard.Frame(bank, answer) // rendered into the buffer, its MAC to be made at the end of the turn
	w.shard.Closed(p.id, io.EOF)
	p.id = w.connect(-1)
	p.send(0x0820, nil, func(b *iso8583.Builder) { // takes the buffer over, and what follows stands elsewhere in it
		p.identity(b)
		b.Put(60, []byte("00000001301"))
	})
	w.shard.Frame(p.id, older)
	w.pass(0)
	if got := w.take(p.id, conn.Binary2); len(got) != 2 || !bytes.Equal(got[1], first[0]) {
		t.Errorf("%d answers, or the MAC of another was written into one", len(got))
	}
	w.shard.Frame(p.id, frame)
	w.pass(0)
	w.want("the repeat", p.code(), "00")
	w.idle()
}

func TestModuleAndConnectionEndWhileAnAnswerIsSealed(t *testing.T) {
	for name, end := range map[string]func(r *rack, p *pos){
		"connection": func(r *rack, p *pos) {
			r.shard.Closed(p.id, io.EOF)
			p.id = r.connect(-1)
			r.serve()
		},
		"module": func(r *rack, p *pos) {
			r.shard.Closed(r.box, io.EOF)
			r.box = r.boxUp(2)
		},
		"silence": func(r *rack, p *pos) {
			r.commands()
			r.pass(3 * time.Second)
			r.shard.Closed(r.box, io.EOF)
			r.box = r.boxUp(2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRack(t)
			bank := r.bankUp(0)
			p := r.terminal()
			frame := p.sale(7, 1250, false)
			r.serve()
			r.bankAnswers(bank, r.bankGot(bank), "00")
			end(r, p)
			r.pass(0)
			p.silent()
			r.idle()
			r.shard.Frame(p.id, frame) // what was decided stands
			r.pass(0)
			r.serve()
			r.want("the repeat", p.code(), "00")
			r.bankSilent(bank)
			r.want("owed", r.shard.owed.Total(), 0)
		})
	}
}

func TestFullHouse(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	var first []byte
	for i := range uint64(64) {
		if f := p.sale(100+i, 1250, false); i == 0 {
			first = f
		}
	}
	asked := w.take(bank, conn.ASCII4)
	w.want("asked", len(asked), 64)
	w.shard.Frame(p.id, first)
	w.pass(0)
	p.silent() // a refusal would be taken for the answer to the first
	p.reverse(100, 1250)
	w.want("a reversal", p.code(), "96") // not cleared: it comes again
	p.sale(500, 1250, false)
	w.want("another sale", p.code(), "96")
	w.bankSilent(bank)
	for _, f := range asked {
		w.bankAnswers(bank, w.parse(iso8583.Cups(), f), "00")
	}
	w.want("answers", len(w.take(p.id, conn.Binary2)), 64)
	p.reverse(100, 1250)
	w.want("the reversal", p.code(), "00")
	w.idle()
}

func TestForgedMACOfAnotherTerminal(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	forged, err := clear.NewCipher(tmkClear)
	if err != nil {
		t.Fatal(err)
	}
	for _, mti := range []iso8583.MTI{0x0200, 0x0400} {
		p.send(mti, forged, p.money(7, 1250, false, ""))
		w.pass(0)
		w.want("F39", p.code(), "A0")
	}
	p.approved(bank, 7, 1250) // the forged reversal left no mark
	p.send(0x0400, forged, p.money(7, 1250, false, ""))
	w.pass(0)
	w.want("F39", p.code(), "A0")
	w.bankSilent(bank)
	w.want("owed", w.shard.owed.Total(), 0)
}
