package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/explain"
	"tongka/conn/framing"
)

// tape writes packets between a terminal and a switch, one a millisecond.
type tape struct {
	t   *testing.T
	out bytes.Buffer
	w   *pcapgo.Writer
	ng  *pcapgo.NgWriter
	now time.Time
	seq [2]uint32 // that comes next, of terminal and switch
}

func newTape(t *testing.T, ng bool) *tape {
	t.Helper()
	p := &tape{t: t, now: time.Date(2026, 6, 13, 10, 11, 12, 0, time.UTC), seq: [2]uint32{0xFFFFFFF0, 77}} // wraps round soon
	var err error
	if ng {
		p.ng, err = pcapgo.NewNgWriter(&p.out, layers.LinkTypeEthernet)
	} else {
		p.w = pcapgo.NewWriter(&p.out)
		err = p.w.WriteFileHeader(65535, layers.LinkTypeEthernet)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *tape) packet(from int, seq uint32, data []byte, flags string) {
	p.t.Helper()
	ips, ports := [2]net.IP{{10, 0, 0, 1}, {10, 0, 0, 2}}, [2]layers.TCPPort{40001, 7001}
	eth := &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: ips[from], DstIP: ips[1-from]}
	tcp := &layers.TCP{SrcPort: ports[from], DstPort: ports[1-from], Seq: seq, ACK: !strings.Contains(flags, "s"),
		SYN: strings.ContainsAny(flags, "sS"), FIN: strings.Contains(flags, "F"), Window: 1000}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		p.t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp, gopacket.Payload(data)); err != nil {
		p.t.Fatal(err)
	}
	p.put(b.Bytes())
}

func (p *tape) put(b []byte) {
	p.t.Helper()
	p.now = p.now.Add(time.Millisecond)
	info := gopacket.CaptureInfo{Timestamp: p.now, CaptureLength: len(b), Length: len(b)}
	var err error
	if p.ng != nil {
		err = p.ng.WritePacket(info, b)
	} else {
		err = p.w.WritePacket(info, b)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// fragments is a packet with data as two fragments of one datagram.
func (p *tape) fragments(from int, id uint16, data []byte) (two [2][]byte) {
	p.t.Helper()
	ips, ports := [2]net.IP{{10, 0, 0, 1}, {10, 0, 0, 2}}, [2]layers.TCPPort{40001, 7001}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: ips[from], DstIP: ips[1-from], Id: id}
	tcp := &layers.TCP{SrcPort: ports[from], DstPort: ports[1-from], Seq: p.seq[from], ACK: true, Window: 1000}
	p.seq[from] += uint32(len(data))
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		p.t.Fatal(err)
	}
	b, options := gopacket.NewSerializeBuffer(), gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, options, tcp, gopacket.Payload(data)); err != nil {
		p.t.Fatal(err)
	}
	const cut = 48 // a multiple of 8
	segment := bytes.Clone(b.Bytes())
	for i, part := range [2][]byte{segment[:cut], segment[cut:]} {
		ip.Flags, ip.FragOffset = layers.IPv4MoreFragments, 0
		if i == 1 {
			ip.Flags, ip.FragOffset = 0, cut/8
		}
		eth := &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: layers.EthernetTypeIPv4}
		if err := gopacket.SerializeLayers(b, options, eth, ip, gopacket.Payload(part)); err != nil {
			p.t.Fatal(err)
		}
		two[i] = bytes.Clone(b.Bytes())
	}
	return two
}

// open is the handshake.
func (p *tape) open() {
	p.packet(0, p.seq[0]-1, nil, "s")
	p.packet(1, p.seq[1]-1, nil, "S")
}

// send is data in its turn.
func (p *tape) send(from int, data []byte) {
	p.packet(from, p.seq[from], data, "")
	p.seq[from] += uint32(len(data))
}

// lose is data that the capture does not have.
func (p *tape) lose(from int, data []byte) { p.seq[from] += uint32(len(data)) }

func (p *tape) read(o explain.Options) *Report {
	p.t.Helper()
	if p.ng != nil {
		if err := p.ng.Flush(); err != nil {
			p.t.Fatal(err)
		}
	}
	r, err := Read(bytes.NewReader(p.out.Bytes()), o)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// message is a framed sale of a trace number, or its answer.
func message(t *testing.T, wrap string, s *iso8583.Spec, mti iso8583.MTI, trace uint64) []byte {
	t.Helper()
	f, ok := framing.Named(wrap)
	if !ok {
		t.Fatal(wrap)
	}
	var front string
	if s == iso8583.Pos() {
		front = "\x60\x00\x03\x00\x00\x60\x31\x00\x31\x13\x02"
	}
	b := s.Begin(append(f.Begin(nil), front...), mti)
	b.Put(2, []byte("6222021234567890005"))
	b.Put(3, []byte("000000"))
	b.PutUint(4, 100*trace)
	b.PutUint(11, trace)
	if mti&0x10 != 0 {
		b.Put(39, []byte("00"))
	}
	b.Put(41, []byte("T0000001"))
	b.Put(60, []byte("22000001"))
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	if out, err = f.End(out, 0); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestConversationIsReadAndPaired(t *testing.T) {
	for _, c := range []struct {
		wrap string
		spec *iso8583.Spec
		ng   bool
	}{{"binary2", iso8583.Pos(), false}, {"ascii4", iso8583.Cups(), true}, {"bcd2", iso8583.BCD(), true}, {"hex4", iso8583.ASCII(), false}, {"binary4", iso8583.Pos(), true}} {
		p := newTape(t, c.ng)
		p.open()
		q1, q2 := message(t, c.wrap, c.spec, 0x0200, 1), message(t, c.wrap, c.spec, 0x0200, 2)
		p.send(0, q1[:7]) // in two segments, with the next request behind it
		p.send(0, append(q1[7:len(q1):len(q1)], q2...))
		p.send(1, message(t, c.wrap, c.spec, 0x0210, 2))
		p.send(1, message(t, c.wrap, c.spec, 0x0210, 1))
		p.send(0, message(t, c.wrap, c.spec, 0x0200, 3))
		r := p.read(explain.Options{})
		if len(r.Connections) != 1 || len(r.Messages) != 5 {
			t.Fatalf("%s: %d connections, %d messages", c.wrap, len(r.Connections), len(r.Messages))
		}
		if a := r.Connections[0]; a.Framing != c.wrap || a.Client != "10.0.0.1:40001" || a.Server != "10.0.0.2:7001" || a.Messages != 5 || a.Lost+a.Retransmitted+a.Skipped+a.Refused != 0 {
			t.Errorf("%s: %+v", c.wrap, a)
		}
		m := r.Messages
		if m[0].AnsweredBy != 4 || m[3].Answers != 1 || m[3].Took != 2000 || m[1].AnsweredBy != 3 || m[2].Answers != 2 || m[2].Took != 1000 || m[4].AnsweredBy != 0 {
			t.Errorf("%s: pairs %+v", c.wrap, m)
		}
		if m[0].From != "10.0.0.1:40001" || m[3].From != "10.0.0.2:7001" || m[0].Time.Format("15:04:05.000") != "10:11:12.004" {
			t.Errorf("%s: %+v", c.wrap, m[0])
		}
		var text strings.Builder
		if err := r.WriteText(&text, explain.Style{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"answers #1，2ms", "answered by #4", "no answer in the capture", "framing " + c.wrap, "622202*********0005"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: %q is not in\n%s", c.wrap, want, &text)
			}
		}
		if strings.Contains(text.String(), "6222021234567890005") {
			t.Error("the card can be seen")
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	}
}

func TestLossRepeatAndDisorderAreTold(t *testing.T) {
	q := func(n uint64) []byte { return message(t, "binary2", iso8583.Pos(), 0x0200, n) }
	p := newTape(t, false)
	p.open()
	p.send(0, q(1))
	p.packet(0, p.seq[0]-uint32(len(q(1))), q(1), "") // again
	one, two := q(2), q(3)
	p.packet(0, p.seq[0]+uint32(len(one)), two, "") // before its turn
	p.packet(0, p.seq[0], one, "")
	p.seq[0] += uint32(len(one) + len(two))
	p.send(0, q(4)[:20])
	p.lose(0, q(4)[20:]) // never seen
	p.send(0, q(5))
	p.send(0, q(6)[:9]) // the capture ends
	r := p.read(explain.Options{})
	var traces []string
	for _, m := range r.Messages {
		if m.Result == nil {
			t.Fatalf("%v", m.Refused)
		}
		traces = append(traces, m.Result.Fields["11"])
	}
	if got := strings.Join(traces, " "); got != "000001 000002 000003 000005" {
		t.Errorf("messages %s", got)
	}
	if a := r.Connections[0]; a.Retransmitted != 1 || a.Reordered < 1 || a.Lost != len(q(4))-20 || a.Skipped != 20+9 {
		t.Errorf("%+v", a)
	}
}

// Fragments of IP make their datagram in any order; what lacks one is counted, and
// the bytes of it are missing.
func TestFragmentsArePutTogether(t *testing.T) {
	q := func(n uint64) []byte { return message(t, "binary2", iso8583.Pos(), 0x0200, n) }
	p := newTape(t, false)
	p.open()
	first, second, third, fourth := p.fragments(0, 1, q(1)), p.fragments(0, 2, q(2)), p.fragments(0, 3, q(3)), p.fragments(0, 1, q(4)) // a number again
	for _, b := range [][]byte{first[0], second[1], first[1], second[0], third[1], fourth[0], fourth[1]} {
		p.put(b)
	}
	r := p.read(explain.Options{})
	var traces []string
	for _, m := range r.Messages {
		if m.Result == nil {
			t.Fatalf("%v", m.Refused)
		}
		traces = append(traces, m.Result.Fields["11"])
	}
	if got := strings.Join(traces, " "); got != "000001 000002 000004" {
		t.Errorf("messages %s", got)
	}
	if len(r.Notes) != 1 || r.Notes[0].EN != "1 IP fragments were not used" {
		t.Errorf("%+v", r.Notes)
	}
	if a := r.Connections[0]; a.Lost != len(q(3)) {
		t.Errorf("%+v", a)
	}
}

// A capture that begins in the middle of a message goes on with the next one.
func TestCaptureFromTheMiddle(t *testing.T) {
	p := newTape(t, true)
	p.send(0, append(message(t, "binary2", iso8583.Pos(), 0x0200, 1)[25:], message(t, "binary2", iso8583.Pos(), 0x0200, 2)...))
	p.send(1, message(t, "binary2", iso8583.Pos(), 0x0210, 2))
	r := p.read(explain.Options{})
	if len(r.Messages) != 2 || r.Messages[1].Answers != 1 || r.Connections[0].Skipped == 0 {
		t.Errorf("%+v %+v", r.Connections, r.Messages)
	}
}

// A gap in the first message hides that one, and not how the others are framed.
func TestGapInTheFirstMessage(t *testing.T) {
	p := newTape(t, false)
	p.open()
	one, two := message(t, "binary2", iso8583.Pos(), 0x0200, 1), message(t, "binary2", iso8583.Pos(), 0x0200, 2)
	p.send(0, one[:20])
	p.lose(0, one[20:])
	p.send(0, two)
	if r := p.read(explain.Options{}); len(r.Messages) != 1 || r.Connections[0].Framing != "binary2" || r.Connections[0].Lost != len(one)-20 {
		t.Errorf("%+v", r.Connections)
	}
}

// A capture that was copied while it was written ends within a packet: what
// stands before that is read, and the damage is told.
func TestCaptureCutShort(t *testing.T) {
	p := newTape(t, false)
	p.open()
	p.send(0, message(t, "binary2", iso8583.Pos(), 0x0200, 1))
	p.send(1, message(t, "binary2", iso8583.Pos(), 0x0210, 1))
	r, err := Read(bytes.NewReader(p.out.Bytes()[:p.out.Len()-9]), explain.Options{})
	if err == nil || !strings.Contains(err.Error(), "damaged behind packet 3") {
		t.Errorf("%v", err)
	}
	if r == nil || len(r.Messages) != 1 || r.Messages[0].Result == nil {
		t.Errorf("%+v", r)
	}
}

func TestFramingGiven(t *testing.T) {
	p := newTape(t, false)
	p.open()
	m := message(t, "binary2", iso8583.Pos(), 0x0200, 1)
	p.send(0, m[2:])
	if r := p.read(explain.Options{}); r.Connections[0].Framing != "none" || len(r.Messages) != 1 {
		t.Errorf("each segment a message: %+v", r.Connections)
	}
	if r := p.read(explain.Options{Framing: "ascii4"}); r.Connections[0].Messages != 0 {
		t.Errorf("by another framing: %+v", r.Connections)
	}
	p.send(0, []byte("GET / HTTP/1.1\r\n\r\n"))
	if r := p.read(explain.Options{Framing: "none"}); r.Connections[0].Messages != 1 || r.Connections[0].Refused != 1 || r.Messages[1].Refused == nil {
		t.Errorf("%+v", r.Connections)
	}
	if _, err := Read(bytes.NewReader(p.out.Bytes()), explain.Options{Framing: "morse"}); err == nil || !strings.Contains(err.Error(), "morse") {
		t.Errorf("%v", err)
	}
}

// The same ports may serve one connection after another.
func TestPortsUsedAgain(t *testing.T) {
	p := newTape(t, false)
	for range 2 {
		p.open()
		p.send(0, message(t, "binary2", iso8583.Pos(), 0x0200, 1))
		p.send(1, message(t, "binary2", iso8583.Pos(), 0x0210, 1))
		p.packet(0, p.seq[0], nil, "F")
		p.seq = [2]uint32{12345, 999}
	}
	if r := p.read(explain.Options{}); len(r.Connections) != 2 || len(r.Messages) != 4 || r.Messages[3].Answers != 3 || r.Connections[1].Lost != 0 {
		t.Errorf("%+v", r.Connections)
	}
}

// Wherever a capture of either format is cut, what stands before is read, and a
// cut within a record is told with its place.
func TestCaptureCutAnywhere(t *testing.T) {
	for _, ng := range []bool{false, true} {
		p := newTape(t, ng)
		p.open()
		var ends []int // of packets
		for i := range 3 {
			p.send(i%2, message(t, "binary2", iso8583.Pos(), 0x0200, 1))
			if ng {
				if err := p.ng.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			ends = append(ends, p.out.Len())
		}
		all := p.out.Bytes()
		for n := ends[0] + 1; n < len(all); n++ {
			whole := 0
			for _, end := range ends {
				if end <= n {
					whole++
				}
			}
			r, err := Read(bytes.NewReader(all[:n]), explain.Options{})
			if clean := slices.Contains(ends, n); clean != (err == nil) || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("begins at byte %d ", ends[whole-1])) {
				t.Fatalf("pcapng %v, %d of %d bytes: %v", ng, n, len(all), err)
			}
			if r == nil || len(r.Messages) != whole {
				t.Fatalf("pcapng %v, %d of %d bytes: %+v, want %d messages", ng, n, len(all), r, whole)
			}
		}
	}
	huge := append(append([]byte{}, newTape(t, false).out.Bytes()...), 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0)
	if _, err := Read(bytes.NewReader(huge), explain.Options{}); err == nil || !strings.Contains(err.Error(), "claims") {
		t.Errorf("a record of 2 GB: %v", err)
	}
}

func TestWhatIsNoCapture(t *testing.T) {
	p := newTape(t, false)
	p.send(0, message(t, "binary2", iso8583.Pos(), 0x0200, 1))
	whole := p.out.Bytes()
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"nothing": {nil, "not a pcap"}, "text": {[]byte("hello"), "not a pcap"}, "head only": {whole[:10], "damaged behind packet 0"},
		"cut": {whole[:len(whole)-3], "damaged behind packet 0"}, "pcapng head": {[]byte{0x0A, 0x0D, 0x0D, 0x0A, 1, 2}, "damaged"},
	} {
		_, err := Read(bytes.NewReader(c.in), explain.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := newTape(t, false).read(explain.Options{}); len(r.Connections)+len(r.Messages) != 0 {
		t.Errorf("%+v", r)
	}
	if !Is(whole) || Is([]byte("0200")) {
		t.Error("captures are not told from messages")
	}
}

// Other traffic in a capture is passed over.
func TestOtherTraffic(t *testing.T) {
	p := newTape(t, false)
	p.open()
	p.send(0, bytes.Repeat([]byte("not a payment "), 300))
	r := p.read(explain.Options{})
	if len(r.Messages) != 0 || r.Connections[0].Framing != "" {
		t.Errorf("%+v", r.Connections)
	}
}

func TestRefusalAsJSON(t *testing.T) {
	for want, err := range map[string]error{`"none of it"`: errors.New("none of it"), `{"dialect":"pos"`: &explain.RefusedError{Dialect: "pos"}} {
		b, e := (&Refusal{err}).MarshalJSON()
		if e != nil || !strings.HasPrefix(string(b), want) {
			t.Errorf("%s, %v, want %s", b, e, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 1, 0, 0, 0})
	f.Add([]byte{0x0A, 0x0D, 0x0D, 0x0A, 28, 0, 0, 0, 0x4D, 0x3C, 0x2B, 0x1A, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(bytes.NewReader(b), explain.Options{})
		if r == nil && err == nil || r != nil && err != nil && r.Packets == 0 {
			t.Fatalf("%+v and %v", r, err)
		}
	})
}
