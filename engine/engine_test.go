package engine

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/payshield"
	"tongka/registry"
)

func TestSaleApproved(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, true)
	q := w.bankGot(bank)
	p.silent()
	var block [8]byte
	copy(block[:], q.Field(52))
	pan12 := [12]byte([]byte("588000000000"))
	if pin, err := clear.DecryptPIN(zpkClear, block, &pan12, pinISO0); err != nil || string(pin) != "123456" {
		t.Errorf("PIN at the bank: %q %v", pin, err)
	}
	w.bankAnswers(bank, q, "00")
	v := p.got()
	if string(v.Field(39)) != "00" || string(v.Field(38)) != "A00001" || string(v.AppendText(nil, 11)) != "000007" || !v.Has(64) {
		t.Errorf("answer: F39 %s F38 %s", v.Field(39), v.Field(38))
	}
	if !bytes.Equal(v.Field(37), q.Field(37)) {
		t.Error("terminal and bank see different reference numbers")
	}
	if len(w.shard.free) != 64 {
		t.Errorf("%d of 64 slots free", len(w.shard.free))
	}
}

func TestWrongMACGoesNowhere(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	wrong, _ := clear.NewCipher(zpkClear)
	p.send(0x0200, wrong, p.money(7, 1250, false, ""))
	w.pass(0)
	if c := p.code(); c != "A0" {
		t.Errorf("F39 %s", c)
	}
	w.bankSilent(bank)
	p.send(0x0200, nil, p.money(7, 1250, false, "")) // no MAC at all
	w.pass(0)
	if c := p.code(); c != "A0" {
		t.Errorf("without F64: F39 %s", c)
	}
	w.bankSilent(bank)
	if w.shard.stats.BadMAC != 2 {
		t.Errorf("%d bad MACs counted", w.shard.stats.BadMAC)
	}
}

func TestTimeoutOwesOneReversalUntilTheBankConfirms(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	w.pass(9 * time.Second)
	p.silent()
	w.pass(2 * time.Second)
	if c := p.code(); c != "98" {
		t.Fatalf("F39 %s", c)
	}
	r := w.bankGot(bank)
	if r.MTI() != 0x0420 || !bytes.Equal(r.Field(37), q.Field(37)) || !bytes.Equal(r.Field(11), q.Field(11)) {
		t.Fatalf("the reversal: %v", r.MTI())
	}
	w.bankAnswers(bank, q, "00") // late: counted, changes nothing
	p.silent()
	w.bankSilent(bank)
	if w.shard.stats.LateAnswers != 1 {
		t.Errorf("%d late answers", w.shard.stats.LateAnswers)
	}
	w.pass(6 * time.Second) // the bank does not answer the reversal either
	w.pass(2 * time.Second)
	again := w.bankGot(bank)
	if again.MTI() != 0x0421 || !bytes.Equal(again.Field(37), q.Field(37)) {
		t.Fatalf("the repeat: %v", again.MTI())
	}
	w.bankAnswers(bank, again, "00")
	w.pass(time.Minute - time.Second)
	if w.shard.owed.Total() != 0 || w.shard.stats.Delivered != 1 {
		t.Errorf("owed %d, delivered %d", w.shard.owed.Total(), w.shard.stats.Delivered)
	}
}

func TestRepeatGetsTheStoredAnswer(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	q := w.bankGot(bank)
	w.shard.Frame(p.id, frame) // a repeat while in flight
	w.pass(0)
	p.silent()
	w.bankSilent(bank)
	w.bankAnswers(bank, q, "00")
	first := w.take(p.id, conn.Binary2)
	w.pass(3 * time.Second)
	w.shard.Frame(p.id, frame)
	w.pass(0)
	second := w.take(p.id, conn.Binary2)
	if len(first) != 1 || len(second) != 1 || !bytes.Equal(first[0], second[0]) {
		t.Errorf("answers differ:\n%x\n%x", first, second)
	}
	w.bankSilent(bank)
	p.sale(7, 9999, false) // another amount under the same number
	if c := p.code(); c != "94" {
		t.Errorf("clash: F39 %s", c)
	}
	w.bankSilent(bank)
}

func TestRepeatInTheTurnOfTheAnswer(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	q := w.bankGot(bank)
	head := iso8583.AppendCupsHeader(nil, "48023310", "00010000")
	b := iso8583.Cups().Begin(head, 0x0210)
	b.Copy(11, q, 11)
	b.Copy(37, q, 37)
	b.Put(39, []byte("00"))
	out, _ := b.End()
	iso8583.PatchCupsLength(out, len(out))
	w.shard.Frame(bank, out)
	w.shard.Frame(p.id, frame)
	w.pass(0)
	if got := w.take(p.id, conn.Binary2); len(got) != 2 || !bytes.Equal(got[0], got[1]) {
		t.Errorf("%d answers, or different ones", len(got))
	}
}

func TestTerminalReversal(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	p.got()
	p.reverse(7, 1250)
	if c := p.code(); c != "00" {
		t.Fatalf("F39 %s", c)
	}
	r := w.bankGot(bank)
	if r.MTI() != 0x0420 {
		t.Fatalf("%v", r.MTI())
	}
	p.reverse(7, 1250) // the terminal did not hear: same answer, nothing more owed
	if c := p.code(); c != "00" {
		t.Errorf("again: F39 %s", c)
	}
	w.bankSilent(bank)
	w.bankAnswers(bank, r, "00")
	if w.shard.owed.Total() != 0 {
		t.Errorf("owed %d", w.shard.owed.Total())
	}
	p.sale(7, 1250, false) // the reversed sale must not be answered as approved
	if c := p.code(); c != "94" {
		t.Errorf("repeat of a reversed sale: F39 %s", c)
	}
}

func TestReversalOfWhatIsUnknownAndComesLate(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.reverse(7, 1250)
	if c := p.code(); c != "25" {
		t.Fatalf("F39 %s", c)
	}
	p.sale(7, 1250, false) // overtaken by its own reversal
	if c := p.code(); c != "94" {
		t.Errorf("F39 %s", c)
	}
	w.bankSilent(bank)
	p.reverse(7, 1250)
	if c := p.code(); c != "25" {
		t.Errorf("again: F39 %s", c)
	}
}

func TestReversalWhileInFlight(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	p.reverse(7, 1250)
	if c := p.code(); c != "00" {
		t.Fatalf("F39 %s", c)
	}
	if r := w.bankGot(bank); r.MTI() != 0x0420 {
		t.Fatalf("%v", r.MTI())
	}
	w.bankAnswers(bank, q, "00")
	p.silent()
	w.pass(20 * time.Second)
	p.silent()
	if len(w.shard.free) != 64 {
		t.Errorf("%d slots free", len(w.shard.free))
	}
}

func TestDeclinedHereAndThere(t *testing.T) {
	w := newWorld(t)
	p := w.terminal()
	p.sale(7, 1250, false)
	if c := p.code(); c != "91" {
		t.Errorf("line down: F39 %s", c)
	}
	bank := w.bankUp(0)
	p.sale(8, 1250, false)
	w.bankAnswers(bank, w.bankGot(bank), "51")
	if c := p.code(); c != "51" {
		t.Errorf("F39 %s", c)
	}
	p.reverse(8, 1250)
	if c := p.code(); c != "00" {
		t.Errorf("reversal of a declined sale: F39 %s", c)
	}
	w.bankSilent(bank)
}

func TestCrashAfterIntentOwesAReversal(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	q := w.bankGot(bank)
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	if w.shard.owed.Total() != 1 {
		t.Fatalf("owed %d after the crash", w.shard.owed.Total())
	}
	bank = w.bankUp(0)
	r := w.bankGot(bank)
	if r.MTI() != 0x0420 || !bytes.Equal(r.Field(37), q.Field(37)) {
		t.Fatalf("%v %s", r.MTI(), r.Field(37))
	}
	w.bankAnswers(bank, r, "00")
	p.id = w.connect(-1)
	w.shard.Frame(p.id, frame) // the terminal repeats after the restart
	w.pass(0)
	if c := p.code(); c != "98" {
		t.Errorf("F39 %s", c)
	}
	w.bankSilent(bank)
}

func TestCrashAfterOutcomeAnswersTheRepeat(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	first := w.take(p.id, conn.Binary2)
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	if w.shard.owed.Total() != 0 {
		t.Fatal("a reversal is owed for an approved sale")
	}
	bank = w.bankUp(0)
	p.id = w.connect(-1)
	w.shard.Frame(p.id, frame)
	w.pass(0)
	second := w.take(p.id, conn.Binary2)
	if len(second) != 1 || !bytes.Equal(first[0], second[0]) {
		t.Errorf("answers differ:\n%x\n%x", first, second)
	}
	p.reverse(7, 1250)
	if c := p.code(); c != "00" {
		t.Errorf("reversal after the crash: F39 %s", c)
	}
	if r := w.bankGot(bank); r.MTI() != 0x0420 {
		t.Errorf("%v", r.MTI())
	}
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	p.id = w.connect(-1)
	p.reverse(7, 1250)
	if c := p.code(); c != "00" || w.shard.owed.Total() != 1 {
		t.Errorf("after another crash: F39 %s, owed %d", c, w.shard.owed.Total())
	}
}

func TestNumbersContinueAfterACrash(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	before := string(w.bankGot(bank).Field(37))
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	bank = w.bankUp(0)
	w.take(bank, conn.ASCII4)
	p.id = w.connect(-1)
	p.sale(8, 1250, false)
	if after := string(w.bankGot(bank).Field(37)); after <= before {
		t.Errorf("reference number %s after %s", after, before)
	}
}

func TestStoreFailureLetsNothingOut(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	w.log.failSync = errDisk
	p.sale(7, 1250, false)
	if w.fatal != errDisk {
		t.Fatalf("fatal: %v", w.fatal)
	}
	w.bankSilent(bank)
	p.sale(8, 1250, false)
	p.silent()
}

func TestBankAnswersTwiceOrNonsense(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	w.bankSays(bank, 0x0210, func(b *iso8583.Builder) { // another amount
		b.PutUint(4, 1)
		b.Copy(11, q, 11)
		b.Copy(37, q, 37)
		b.Put(39, []byte("00"))
	})
	p.silent()
	w.bankAnswers(bank, q, "00")
	if c := p.code(); c != "00" {
		t.Fatalf("F39 %s", c)
	}
	w.bankAnswers(bank, q, "05")
	p.silent()
	if w.shard.stats.Unmatched != 2 {
		t.Errorf("%d unmatched", w.shard.stats.Unmatched)
	}
}

func TestUnknownTerminalAndNoSession(t *testing.T) {
	w := newWorld(t)
	p := &pos{w: w, id: w.connect(-1), batch: "000001"}
	p.mak, _ = clear.NewCipher(tmkClear)
	p.sale(7, 1250, false)
	if c := p.code(); c != "97" {
		t.Errorf("unknown terminal: F39 %s", c)
	}
	q := w.terminal()
	w.pass(25 * time.Hour)
	q.sale(7, 1250, false)
	v := w.parse(iso8583.Pos(), w.take(q.id, conn.Binary2)[0])
	if string(v.Field(39)) != "77" {
		t.Errorf("session over: F39 %s", v.Field(39))
	}
	batch := q.batch
	q.signIn()
	if q.batch <= batch {
		t.Errorf("batch %s after %s", q.batch, batch)
	}
}

func TestFullHouseRefuses(t *testing.T) {
	w := newWorld(t)
	w.bankUp(0)
	p := w.terminal()
	for i := range uint64(64) {
		p.sale(100+i, 1250, false)
	}
	p.silent()
	p.sale(500, 1250, false)
	if c := p.code(); c != "96" {
		t.Errorf("F39 %s", c)
	}
}

func TestModuleBehindASocket(t *testing.T) {
	for _, header := range []int{8, 4, 12} {
		t.Run(fmt.Sprintf("header of %d", header), func(t *testing.T) { moduleBehindASocket(t, header) })
	}
}

func moduleBehindASocket(t *testing.T, header int) {
	w := newWorld(t)
	w.remote, w.header = true, header
	w.open(vfs.NewCrashableMem())
	server := payshield.NewServer(w.module, payshield.Dialect{HeaderLen: header})
	box := w.boxUp(2) // behind the two banks
	serve := func() (n int) {
		for _, f := range w.take(box, conn.Binary2) {
			w.shard.Frame(box, server.Answer(nil, f))
			n++
		}
		w.pass(0)
		return n
	}
	bank := w.bankUp(0)
	w.terminalImported()
	p := &pos{w: w, id: w.connect(-1)}
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		p.identity(b)
		b.Put(60, []byte("00000001003"))
	})
	w.pass(0)
	for serve() > 0 {
	}
	v := p.got()
	p.batch = string(v.AppendText(nil, 60)[2:8])
	p.pik, p.mak = p.unwrap(v.Field(62)[:20]), p.unwrap(v.Field(62)[20:])
	p.sale(7, 1250, true)
	w.bankSilent(bank)
	serve() // the MAC
	serve() // the PIN
	q := w.bankGot(bank)
	w.bankAnswers(bank, q, "00")
	p.silent()
	serve() // the answer's MAC
	if c := p.code(); c != "00" {
		t.Fatalf("F39 %s", c)
	}
	p.sale(8, 1250, false) // the module never answers
	w.take(box, conn.Binary2)
	w.pass(3 * time.Second)
	w.take(box, conn.Binary2) // asked for the MAC of the refusal
	w.bankSilent(bank)
	w.shard.Closed(box, io.EOF) // and its connection breaks
	w.pass(0)
	if len(w.shard.free) != 64 || w.shard.stats.HSMFaults == 0 {
		t.Errorf("%d slots free, %d faults", len(w.shard.free), w.shard.stats.HSMFaults)
	}
}

func (w *world) terminalImported() {
	w.t.Helper()
	csv := "merchant,terminal,tmk,mac\n" + terminalMerchant + "," + terminalNumber + "," + w.wrap(hsm.TMK, tmkClear).String() + ",unionpay\n"
	if _, _, err := w.reg.Import(strings.NewReader(csv), "t.csv"); err != nil {
		w.t.Fatal(err)
	}
}

func TestLinksKeepTheirPlaces(t *testing.T) {
	w := newWorld(t)
	w.names = []string{"bank-b", "bank-a"}
	if err := w.tryOpen(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})); err == nil || !strings.Contains(err.Error(), "link 1 was bank-a") {
		t.Errorf("opened with the links exchanged: %v", err)
	}
}

func TestRefusalOfARepeatIsNotFinal(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	q := w.bankGot(bank)
	old := p.mak
	thief := &pos{w: w, id: w.connect(-1)}
	thief.signIn() // somebody signs in under this number: the keys change
	w.shard.Frame(p.id, frame)
	w.pass(0)
	p.silent() // A0 would be final, and the bank's yes is on its way
	w.bankAnswers(bank, q, "00")
	p.mak = old
	if c := p.code(); c != "00" {
		t.Errorf("F39 %s", c)
	}
	w.shard.Frame(p.id, frame)
	w.pass(0)
	p.silent()
	p.batch, p.mak = thief.batch, thief.mak
	p.sale(8, 100, false)
	w.bankGot(bank)
}

func TestLateReplyOfAModuleIsNobodys(t *testing.T) {
	w := newWorld(t)
	w.remote = true
	w.open(vfs.NewCrashableMem())
	box := w.boxUp(2)
	w.bankUp(0)
	s := w.shard
	places := s.pool.Free()
	w.terminalImported()
	p := &pos{w: w, id: w.connect(-1)}
	const missed = 3 // in a row end a line
	for range missed {
		p.send(0x0800, nil, func(b *iso8583.Builder) { p.identity(b); b.Put(60, []byte("00000001003")) })
		w.pass(0)
		w.pass(3 * time.Second)
	}
	if s.pool.Free() != places-missed {
		t.Errorf("%d places free of %d: a late one was given away", s.pool.Free(), places)
	}
	if !w.closed[box] {
		t.Error("a module that answers nothing keeps its line")
	}
	s.Closed(box, nil)
	if s.pool.Free() != places || s.pool.View(0).InFlight != 0 {
		t.Errorf("%d places free of %d, %d in flight", s.pool.Free(), places, s.pool.View(0).InFlight)
	}
}

func TestWhatIsInFlightIsNeverForgotten(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	q := w.bankGot(bank)
	for i := range uint64(100) { // far more than a terminal's history holds
		p.sale(1000+i, 1250, false)
		w.bankAnswers(bank, w.bankGot(bank), "51")
		p.got()
	}
	w.shard.Frame(p.id, frame)
	w.pass(0)
	w.bankSilent(bank)
	w.bankAnswers(bank, q, "00")
	if c := p.code(); c != "00" {
		t.Errorf("F39 %s", c)
	}
}

func TestManyInFlightOfOneTerminal(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	var frames [][]byte
	for i := range uint64(40) {
		frames = append(frames, p.sale(1+i, 1250, false))
	}
	if n := len(w.take(bank, conn.ASCII4)); n != 40 {
		t.Fatalf("the bank got %d", n)
	}
	for _, f := range frames {
		w.shard.Frame(p.id, f)
	}
	w.pass(0)
	w.bankSilent(bank)
	p.silent()
}

func TestOldOriginalIsFoundOnDisk(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	p.got()
	for i := range uint64(40) {
		p.sale(1000+i, 1250, false)
		w.bankAnswers(bank, w.bankGot(bank), "51")
		p.got()
	}
	p.reverse(7, 1250)
	if c := p.code(); c != "00" {
		t.Fatalf("F39 %s", c)
	}
	r := w.bankGot(bank)
	if r.MTI() != 0x0420 {
		t.Fatalf("%v", r.MTI())
	}
	w.bankAnswers(bank, r, "00")
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	p.id = w.connect(-1)
	p.reverse(7, 1250)
	if c := p.code(); c != "00" || w.shard.owed.Total() != 0 {
		t.Errorf("F39 %s, owed %d", c, w.shard.owed.Total())
	}
	w.shard.Frame(p.id, frame)
	w.pass(0)
	if c := p.code(); c != "94" {
		t.Errorf("the reversed sale again after a crash: F39 %s", c)
	}
}

func TestBankMustSayWhichSale(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	for _, rrn := range []string{"", "ANOTHERSALE1", "325000000000"} {
		w.bankSays(bank, 0x0210, func(b *iso8583.Builder) {
			b.Copy(11, q, 11)
			if rrn != "" {
				b.Put(37, []byte(rrn))
			}
			b.Put(39, []byte("00"))
		})
		p.silent()
	}
}

func TestThirdBadFrameIsAnsweredBeforeTheClose(t *testing.T) {
	w := newWorld(t)
	p := w.terminal()
	frame := p.render(0x0200, p.mak, p.money(7, 1250, false, ""))
	frame = append(frame, 0) // one byte too many
	for range maxBad {
		w.shard.Frame(p.id, frame)
	}
	w.pass(0)
	if n := len(w.take(p.id, conn.Binary2)); n != maxBad || !w.rejected[p.id] {
		t.Errorf("%d answers, closed %v", n, w.closed[p.id])
	}
}

func TestCopyOfAnOldMessageIsNotNew(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	first := w.take(p.id, conn.Binary2)
	p.reverse(900, 500) // unknown: its original must not be done when it comes
	p.got()
	for i := range uint64(40) {
		p.sale(1000+i, 1250, false)
		w.bankAnswers(bank, w.bankGot(bank), "51")
		p.got()
	}
	w.shard.Frame(p.id, frame)
	w.pass(0)
	w.bankSilent(bank)
	if again := w.take(p.id, conn.Binary2); len(again) != 1 || !bytes.Equal(again[0], first[0]) {
		t.Error("the copy is not answered as its first was")
	}
	p.sale(900, 500, false)
	if c := p.code(); c != "94" {
		t.Errorf("the original of a reversal told 25: F39 %s", c)
	}
	w.bankSilent(bank)
}

func TestRefusalAfterARestartIsNotFinal(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(7, 1250, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	p.got()
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	thief := &pos{w: w, id: w.connect(-1)}
	thief.signIn()
	p.id = w.connect(-1)
	w.shard.Frame(p.id, frame)
	w.pass(0)
	p.silent() // A0 would be final for a sale that is approved
}

func TestSignInSurvivesAPowerCut(t *testing.T) {
	w := newWorld(t)
	p := w.terminal()
	p.signIn()
	batch := p.batch
	w.pass(2 * time.Second)
	bank := w.bankUp(0)
	p.sale(1, 100, false)
	w.bankGot(bank)
	w.pass(2 * time.Second) // the recovery point moves past the sign-in
	fresh, err := registry.Open(registry.Options{InMemory: true, SessionTTL: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fresh.Close() })
	w.reg = fresh // the registry lost what it had not synced
	w.terminalImported()
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	p.id = w.connect(-1)
	bank = w.bankUp(0)
	w.take(bank, conn.ASCII4)
	p.sale(2, 100, false)
	w.bankGot(bank) // the MAC under the session's key was right
	p.signIn()
	if p.batch <= batch {
		t.Errorf("batch %s after %s: a number was given out again", p.batch, batch)
	}
}

func TestOlderLifesTracesAreNotNew(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	frame := p.sale(5, 1250, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	p.got()
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	bank = w.bankUp(0)
	w.take(bank, conn.ASCII4)
	p.id = w.connect(-1)
	p.sale(2, 100, false) // a trace below that of the older life
	w.bankAnswers(bank, w.bankGot(bank), "51")
	p.got()
	w.shard.Frame(p.id, frame)
	w.pass(0)
	w.bankSilent(bank)
}

func TestSaleNamesTheSessionsBatch(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	right := p.batch
	for batch, code := range map[string]string{"": "30", "000777": "77"} {
		p.batch = batch
		p.sale(7, 1250, false)
		v := w.parse(iso8583.Pos(), w.take(p.id, conn.Binary2)[0])
		if got := string(v.Field(39)); got != code {
			t.Errorf("batch %q: F39 %s, want %s", batch, got, code)
		}
		w.bankSilent(bank)
	}
	p.batch = right
	p.sale(7, 1250, false)
	w.bankGot(bank)
}
