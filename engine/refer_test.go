package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/txn"
)

// naming is a request that names an earlier one, by batch and trace or by the
// reference number.
type naming struct {
	mti           iso8583.MTI
	proc, cond    uint64
	usage         string
	trace, amount uint64
	of            uint64 // the trace that F61 names, in the batch of now
	rrn           string
}

func (p *pos) name(n naming) {
	p.w.t.Helper()
	p.send(n.mti, p.mak, func(b *iso8583.Builder) {
		b.Put(2, []byte("6225880000000003"))
		b.PutUint(3, n.proc)
		b.PutUint(4, n.amount)
		b.PutUint(11, n.trace)
		b.PutUint(22, 21)
		b.PutUint(25, n.cond)
		if n.rrn != "" {
			b.Put(37, []byte(n.rrn))
		}
		p.identity(b)
		b.Put(49, []byte("156"))
		b.Put(60, []byte(n.usage+p.batch))
		if n.of != 0 {
			b.Put(61, fmt.Appendf(nil, "%s%06d1122", p.batch, n.of))
		}
	})
	p.w.pass(0)
}

func void(trace, of, amount uint64) naming {
	return naming{mti: 0x0200, proc: 200000, usage: "23", trace: trace, of: of, amount: amount}
}

func refund(trace, of, amount uint64) naming {
	return naming{mti: 0x0220, proc: 200000, usage: "25", trace: trace, of: of, amount: amount}
}

// takesBack reverses what had a trace, repeating its marks.
func (p *pos) takesBack(n naming) {
	p.w.t.Helper()
	n.mti, n.of, n.rrn = 0x0400, 0, ""
	p.name(n)
}

// through sends a request, has the bank answer, and gives the terminal's code.
func (p *pos) through(bank conn.ID, n naming, code string) string {
	p.w.t.Helper()
	p.name(n)
	if frames := len(p.w.sent[bank]); frames == 0 {
		return p.code()
	}
	p.w.bankAnswers(bank, p.w.bankGot(bank), code)
	return p.code()
}

func TestVoid(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.approved(bank, 7, 1250)
	saleSTAN := w.shard.lastID.STAN()
	w.want("another amount", p.through(bank, void(8, 7, 1200), "00"), "13")
	w.want("not there", p.through(bank, void(9, 99, 1250), "00"), "25")
	w.want("declined by the bank", p.through(bank, void(10, 7, 1250), "51"), "51")

	p.name(void(11, 7, 1250))
	q := w.bankGot(bank)
	w.want("type", q.MTI(), iso8583.MTI(0x0200))
	w.want("F3", string(q.AppendText(nil, 3)), "200000")
	w.want("F90", string(q.Field(90)[:10]), fmt.Sprintf("0200%06d", saleSTAN))
	w.want("F38 of the sale", string(q.Field(38)), "A00001")

	// While it is under way nobody else gets at the sale.
	w.want("a second void meanwhile", p.through(bank, void(12, 7, 1250), "00"), "09")
	w.want("a refund meanwhile", p.through(bank, refund(13, 7, 100), "00"), "09")
	w.bankAnswers(bank, q, "00")
	w.want("the void", p.code(), "00")

	w.want("again", p.through(bank, void(14, 7, 1250), "00"), "12")
	w.want("a refund of it", p.through(bank, refund(15, 7, 1), "00"), "12")
	p.reverse(7, 1250)
	w.want("a reversal of the sale", p.code(), "22")
	w.bankSilent(bank)

	// The void's reversal brings the sale back, and it can be voided anew.
	p.takesBack(void(11, 0, 1250))
	w.want("the void's reversal", p.code(), "00")
	r := w.bankGot(bank)
	w.want("towards the bank", r.MTI(), iso8583.MTI(0x0420))
	w.want("it takes back the void", string(r.AppendText(nil, 3)), "200000")
	w.bankAnswers(bank, r, "00")
	w.want("voided anew", p.through(bank, void(16, 7, 1250), "00"), "00")
	w.want("the void's repeat", p.through(bank, void(16, 7, 1250), "00"), "00")
	w.bankSilent(bank)
	w.idle()
}

// What a turn saved is seen by the next: two voids in one turn are one.
func TestTwoVoidsInOneTurn(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.approved(bank, 7, 1250)
	p.name(void(8, 7, 1250))
	q := w.bankGot(bank)
	n := void(9, 7, 1250)
	frame := p.render(n.mti, p.mak, func(b *iso8583.Builder) {
		b.PutUint(3, n.proc)
		b.PutUint(4, n.amount)
		b.PutUint(11, n.trace)
		b.PutUint(25, 0)
		p.identity(b)
		b.Put(60, []byte(n.usage+p.batch))
		b.Put(61, fmt.Appendf(nil, "%s%06d1122", p.batch, 7))
	})
	w.shard.Frame(bank, w.bankReply(q, "00"))
	w.shard.Frame(p.id, frame) // before the first one's outcome is on disk
	w.pass(0)
	codes := map[string]int{}
	for _, b := range w.take(p.id, conn.Binary2) {
		codes[string(w.parse(iso8583.Pos(), b).Field(39))]++
	}
	if codes["00"] != 1 || codes["09"] != 1 {
		t.Fatalf("answers %v", codes)
	}
	w.bankSilent(bank)
	w.want("later", p.through(bank, void(10, 7, 1250), "00"), "12")
}

func TestRefunds(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1000, false)
	q := w.bankGot(bank)
	rrn := string(q.Field(37))
	w.bankAnswers(bank, q, "00")
	w.want("the sale", p.code(), "00")
	byRRN := func(trace, amount uint64) naming {
		n := refund(trace, 0, amount)
		n.rrn = rrn
		return n
	}
	w.want("a part", p.through(bank, refund(8, 7, 400), "00"), "00")
	w.want("a part by its reference number", p.through(bank, byRRN(9, 400), "00"), "00")
	w.want("more than is left", p.through(bank, byRRN(10, 201), "00"), "13")
	w.want("a void of the rest", p.through(bank, void(11, 7, 1000), "00"), "12")

	// F61 from another terminal, where it is something of this one: F37 counts.
	p.approved(bank, 20, 500)
	foreign := byRRN(21, 300)
	foreign.of = 20
	w.want("more than is left of what F37 names", p.through(bank, foreign, "00"), "13")
	foreign.trace, foreign.rrn = 22, "990001000001"
	w.want("F37 names nothing", p.through(bank, foreign, "00"), "25")

	// Another day, another life of the switch, another batch.
	w.crash()
	w.pass(26 * time.Hour)
	bank = w.bankUp(0)
	p.id = w.connect(-1)
	p.signIn()
	w.want("more than is left, tomorrow", p.through(bank, byRRN(1, 201), "00"), "13")
	w.want("the rest, tomorrow", p.through(bank, byRRN(2, 200), "00"), "00")
	w.want("one fen more", p.through(bank, byRRN(3, 1), "00"), "13")

	// A refund that the terminal takes back is there to be given again.
	p.takesBack(refund(2, 0, 200))
	w.want("reversed", p.code(), "00")
	w.bankAnswers(bank, w.bankGot(bank), "00")
	w.want("given again", p.through(bank, byRRN(4, 200), "00"), "00")
	w.want("unknown number", p.through(bank, naming{mti: 0x0220, proc: 200000, usage: "25", trace: 5, amount: 1, rrn: "990001000001"}, "00"), "25")
}

func TestPreAuthorisation(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	preAuth := naming{mti: 0x0100, proc: 30000, cond: 6, usage: "10", trace: 7, amount: 1000}
	w.want("pre-authorised", p.through(bank, preAuth, "00"), "00")
	completion := naming{mti: 0x0200, proc: 0, cond: 6, usage: "20", trace: 8, of: 7, amount: 1151}
	w.want("too much", p.through(bank, completion, "00"), "13")
	completion.trace, completion.amount = 9, 1150
	w.want("completed", p.through(bank, completion, "00"), "00")
	completion.trace = 10
	w.want("twice", p.through(bank, completion, "00"), "12")
	preAuthVoid := naming{mti: 0x0100, proc: 200000, cond: 6, usage: "11", trace: 11, of: 7, amount: 1000}
	w.want("its void", p.through(bank, preAuthVoid, "00"), "12")
	completionVoid := naming{mti: 0x0200, proc: 200000, cond: 6, usage: "21", trace: 12, of: 9, amount: 1150}
	w.want("the completion's void", p.through(bank, completionVoid, "00"), "00")
	p.takesBack(preAuth)
	w.want("a reversal of what was completed", p.code(), "22")
	preAuth.trace = 20
	w.want("another", p.through(bank, preAuth, "00"), "00")
	p.takesBack(preAuth)
	w.want("reversed", p.code(), "00")
	r := w.bankGot(bank)
	w.want("its original's type", string(r.Field(90)[:4]), "0100")
	w.bankAnswers(bank, r, "00")
	completion.trace, completion.of, completion.amount = 21, 20, 1000
	w.want("completion of what was reversed", p.through(bank, completion, "00"), "25")
	w.idle()
}

// A notice is answered at once, with no bank in sight; the bank is told of it as
// often as it takes, also after a crash.
func TestNotices(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.approved(bank, 7, 1000)
	tip := naming{mti: 0x0220, usage: "34", trace: 8, of: 7, amount: 150}
	w.shard.Closed(bank, nil)
	w.pass(0)
	p.name(tip)
	w.want("the tip", p.code(), "00")
	w.want("owed", w.shard.owed.Total(), 1)
	tip.trace, tip.amount = 9, 51
	p.name(tip)
	w.want("too much in all", p.code(), "13")
	offline := naming{mti: 0x0200, usage: "36", trace: 10, amount: 300}
	p.name(offline)
	w.want("an offline sale", p.code(), "00")
	w.crash()
	bank = w.bankUp(0)
	q := w.bankGot(bank) // the card's next one waits for it
	w.want("repeat of the notice", q.MTI(), iso8583.MTI(0x0221))
	w.want("amount", string(q.AppendText(nil, 4)), "000000000150")
	w.want("what it names", string(q.Field(90)[:4]), "0200")
	w.bankAnswers(bank, q, "96")
	w.want("refused", w.shard.owed.Total(), 2)
	for i := 0; len(w.sent[bank]) == 0 && i < 50; i++ {
		w.pass(time.Second)
	}
	q = w.bankGot(bank)
	w.bankSays(bank, 0x0230, func(b *iso8583.Builder) {
		b.Copy(11, q, 11)
		b.Copy(37, q, 37)
		b.Put(39, txn.Duplicate[:]) // it has it already
	})
	q = w.bankGot(bank)
	w.want("the offline sale", string(q.AppendText(nil, 4)), "000000000300")
	w.bankAnswers(bank, q, "00")
	w.want("owed at the end", w.shard.owed.Total(), 0)
}

// crash ends the switch as a power cut does and starts it on what is on disk.
func (w *world) crash() {
	w.t.Helper()
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: chaosRand(7)}))
}
