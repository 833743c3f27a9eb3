package engine

import (
	"slices"
	"testing"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/translate"
)

// perTurn is how many sales share a turn in the measurements, about what 500
// terminals bring.
const perTurn = 64

// mill grinds sales through a shard: terminals and bank answer at once, and the
// loop throws away what the terminals get.
type mill struct {
	w      *world
	p      *pos
	bank   conn.ID
	more   []conn.ID // further lines of the bank; it answers by the first
	frames [][]byte
	asked  [][]byte // requests at the bank
	answer []byte   // a bank's answer, numbers to be filled in
	stan   int
	rrn    int
	got    int
	view   iso8583.View
	macs   *bankSide // nil: answers have no MAC
	input  []byte
}

func (m *mill) template(t testing.TB) {
	head := iso8583.AppendCupsHeader(nil, "48023310", "00010000")
	b := iso8583.Cups().Begin(head, 0x0210)
	b.PutUint(3, 0)
	b.PutUint(4, 1250)
	m.stan = len(head) + b.Offset()
	b.PutUint(11, 0)
	b.PutUint(15, 1122)
	m.rrn = len(head) + b.Offset()
	b.Put(37, []byte("000000000000"))
	b.Put(38, []byte("A00001"))
	b.Put(39, []byte("00"))
	if m.macs != nil {
		b.Put(128, make([]byte, 8))
	}
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	iso8583.PatchCupsLength(out, len(out))
	m.answer = out
}

// Send plays the sockets.
func (m *mill) Send(id conn.ID, b []byte) error {
	if id != m.bank && !slices.Contains(m.more, id) {
		for ; len(b) > 0; m.got++ {
			b = b[2+(int(b[0])<<8|int(b[1])):]
		}
		return nil
	}
	for len(b) > 0 {
		frame, used, _ := conn.ASCII4.Next(b)
		m.asked = append(m.asked, frame)
		b = b[used:]
	}
	return nil
}
func (m *mill) Close(conn.ID)  {}
func (m *mill) Reject(conn.ID) {}
func (m *mill) Wake()          {}
func (m *mill) Dial(int)       {}

// grind does the sales from..to, a turn's worth at a time.
func (m *mill) grind(from, to int) {
	s := m.w.shard
	for from < to {
		n := min(perTurn, to-from)
		m.asked = m.asked[:0]
		for _, f := range m.frames[from : from+n] {
			s.Frame(m.p.id, f)
		}
		m.w.pass(1000)
		var env iso8583.Envelope
		for _, q := range m.asked {
			msg, _ := iso8583.Cups().Split(q, &env)
			_ = iso8583.Cups().Parse(&m.view, msg)
			copy(m.answer[m.stan:], m.view.Field(11))
			copy(m.answer[m.rrn:], m.view.Field(37))
			m.seal(&env)
			s.Frame(m.bank, m.answer)
		}
		m.w.pass(1000)
		from += n
	}
}

// seal gives the answer its MAC.
func (m *mill) seal(env *iso8583.Envelope) {
	if m.macs == nil {
		return
	}
	msg, _ := iso8583.Cups().Split(m.answer, env)
	_ = iso8583.Cups().Parse(&m.view, msg)
	m.input, _, _ = m.macs.bank.MACInput(m.input[:0], &m.view, translate.Requests)
	mac := m.macs.key.MAC(m.macs.alg, m.input)
	copy(m.answer[len(m.answer)-8:], mac[:])
}

func ready(t testing.TB, sales int) *mill {
	w := newWorld(t)
	m := &mill{w: w}
	m.bank = w.bankUp(0)
	m.load(t, sales)
	return m
}

// load makes the sales and takes the place of the world's loop.
func (m *mill) load(t testing.TB, sales int) {
	w := m.w
	m.p = w.terminal()
	m.template(t)
	for i := range sales {
		m.frames = append(m.frames, m.p.render(0x0200, m.p.mak, m.p.money(uint64(i%999_999)+1, 1250+uint64(i/999_999), false, "")))
	}
	w.shard.Attach(m)
}

func TestSalePathAllocatesNothing(t *testing.T) {
	allocatesNothing(t, func(turns int) *mill { return ready(t, turns*perTurn) })
}

// Nor does it with several lines, some of them full.
func TestSalePathByLinesAllocatesNothing(t *testing.T) {
	allocatesNothing(t, func(turns int) *mill {
		w := lined(t, 4, func(l *Link) { l.Lines[0].Window, l.Lines[1].Window = 5, 20 })
		m := &mill{w: w, bank: w.lineUp(0)}
		for i := 1; i < 4; i++ {
			m.more = append(m.more, w.lineUp(i))
		}
		m.load(t, turns*perTurn)
		return m
	})
}

func allocatesNothing(t *testing.T, mill func(turns int) *mill) {
	const turns = 200
	m := mill(turns + 60)
	m.grind(0, 50*perTurn) // until every buffer has its size
	at := 50 * perTurn
	perRun := testing.AllocsPerRun(turns, func() {
		m.grind(at, at+perTurn)
		at += perTurn
	})
	if m.got != at {
		t.Fatalf("%d answers to %d sales", m.got, at)
	}
	// What is left is the store's, by the commit and not by the sale.
	if perSale := perRun / perTurn; perSale >= 0.5 {
		t.Errorf("%.2f allocations per sale, %.0f per turn of %d", perSale, perRun, perTurn)
	} else {
		t.Logf("%.3f allocations per sale, %.1f per turn of %d (two commits)", perSale, perRun, perTurn)
	}
}

// BenchmarkSale is one whole sale in the shard, both MACs and both durable
// records included, without sockets and with a disk in memory.
func BenchmarkSale(b *testing.B) {
	m := ready(b, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	m.grind(0, b.N)
	b.StopTimer()
	if m.got != b.N {
		b.Fatalf("%d answers to %d sales", m.got, b.N)
	}
}
