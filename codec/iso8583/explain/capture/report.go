package capture

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/explain"
)

// Report is what a capture holds.
type Report struct {
	Packets     int             `json:"packets"`
	Connections []Connection    `json:"connections"`
	Messages    []*Message      `json:"messages"` // in the order of time
	Notes       []explain.Words `json:"notes,omitempty"`
}

// Connection is one TCP connection. Client is the side that opened it, or the one
// seen first.
type Connection struct {
	Number        int    `json:"connection"` // from 1
	Client        string `json:"client"`     // address:port
	Server        string `json:"server"`
	Framing       string `json:"framing,omitempty"` // none: each segment is a message; empty: nothing was found
	Dialect       string `json:"dialect,omitempty"` // of most of its messages
	Messages      int    `json:"messages"`
	Refused       int    `json:"refused,omitempty"`       // frames that are no message
	Retransmitted int    `json:"retransmitted,omitempty"` // segments
	Reordered     int    `json:"reordered,omitempty"`     // segments
	Lost          int    `json:"lost,omitempty"`          // bytes that the capture does not have
	Skipped       int    `json:"skipped,omitempty"`       // bytes that belong to no whole frame
}

// Message is one frame: Result when it was read, Refused when not.
type Message struct {
	Number     int             `json:"number"` // from 1, in the order of time
	Time       time.Time       `json:"time"`   // of its last byte
	Connection int             `json:"connection"`
	From       string          `json:"from"`
	To         string          `json:"to"`
	Answers    int             `json:"answers,omitempty"`     // the number of the request
	AnsweredBy int             `json:"answered_by,omitempty"` // the number of the answer
	Took       int64           `json:"took_us,omitempty"`     // from the request to this answer, microseconds
	Result     *explain.Result `json:"message,omitempty"`
	Refused    *Refusal        `json:"refused,omitempty"`

	side int
}

// Refusal is why a frame is no message. As JSON it is that of the error where the
// error has one, with the drawing, and else one line.
type Refusal struct{ error }

// MarshalJSON gives the error.
func (r *Refusal) MarshalJSON() ([]byte, error) {
	if e, ok := r.error.(*explain.RefusedError); ok {
		return e.MarshalJSON()
	}
	return json.Marshal(r.Error())
}

// Read takes a pcap or pcapng file apart. The error says that it is none, or where
// it is damaged: then the report is of what stands before that, nil when nothing
// does. What is wrong with a message is said in the message.
func Read(in io.Reader, o explain.Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	r, damage := streams(in)
	if damage != nil && (r == nil || r.packets == 0) {
		return nil, damage
	}
	rep := &Report{Packets: r.packets, Notes: r.notes(), Connections: []Connection{}, Messages: []*Message{}}
	for i, c := range r.all {
		rep.add(i+1, c, o)
	}
	slices.SortStableFunc(rep.Messages, func(a, b *Message) int { return a.Time.Compare(b.Time) })
	for i, m := range rep.Messages {
		m.Number = i + 1
	}
	pair(rep.Messages)
	return rep, damage
}

// notes are what could not be used.
func (r *reader) notes() (w []explain.Words) {
	for _, n := range []struct {
		count  int
		zh, en string
	}{
		{r.short, "个包捕获不全", "packets were captured in part"}, {r.pieces.unused(), "个 IP 分片未使用", "IP fragments were not used"},
		{r.other, "个包不是 TCP", "packets are not TCP"},
	} {
		if n.count > 0 {
			w = append(w, explain.Words{ZH: fmt.Sprintf("%d %s", n.count, n.zh), EN: fmt.Sprintf("%d %s", n.count, n.en)})
		}
	}
	return w
}

// add takes one connection apart.
func (rep *Report) add(number int, c *connection, o explain.Options) {
	about := Connection{Number: number, Client: c.sides[0].from, Server: c.sides[0].to, Framing: o.Framing}
	for i := range c.sides {
		s := &c.sides[i]
		s.close()
		about.Retransmitted, about.Reordered, about.Lost = about.Retransmitted+s.retransmitted, about.Reordered+s.reordered, about.Lost+s.lost
	}
	if about.Framing == "" {
		about.Framing = c.framing(o)
	}
	if about.Framing != "" {
		list := c.messages(number, about.Framing, o, &about)
		about.Dialect = settle(list, about.Framing, o)
		for _, m := range list {
			if m.Refused != nil {
				about.Refused++
			} else {
				about.Messages++
			}
			rep.Messages = append(rep.Messages, &m.Message)
		}
	}
	rep.Connections = append(rep.Connections, about)
}

// raw is a message with the bytes that it was read from.
type raw struct {
	Message
	data []byte
}

func (c *connection) messages(number int, name string, o explain.Options, about *Connection) (list []*raw) {
	o.Framing = name
	for i, cut := range c.cuts(name, o) {
		about.Skipped += cut.skipped
		var last time.Time
		for _, f := range cut.frames {
			// Whatever came out of order can be read only when what is before it is there.
			if f.at.After(last) {
				last = f.at
			}
			m := &raw{Message{Time: last.UTC(), Connection: number, From: c.sides[i].from, To: c.sides[i].to, side: i}, f.data}
			var err error
			if m.Result, err = explain.Decode(f.data, o); err != nil {
				m.Refused = &Refusal{err}
			}
			list = append(list, m)
		}
	}
	return list
}

// settle finds the dialect of most of a connection's messages and reads the
// others by it, too, where that goes: a short message alone may be taken for one
// of another dialect.
func settle(list []*raw, name string, o explain.Options) string {
	count := map[string]int{}
	best := ""
	for _, m := range list {
		if m.Result != nil {
			count[m.Result.Dialect]++
		}
	}
	for d, n := range count {
		if n > count[best] || n == count[best] && d < best {
			best = d
		}
	}
	spec, ok := iso8583.Named(best)
	if len(count) < 2 || !ok || len(o.Dialects) == 1 {
		return best
	}
	o.Framing, o.Dialects = name, []*iso8583.Spec{spec}
	for _, m := range list {
		if m.Result != nil && m.Result.Dialect != best {
			if r, err := explain.Decode(m.data, o); err == nil {
				m.Result = r
			}
		}
	}
	return best
}

// pair finds the answers of requests: on the same connection, the other way, the
// type that answers, the same trace and, where both have one, the same terminal.
func pair(all []*Message) {
	open := map[string][]*Message{}
	for _, m := range all {
		if m.Result == nil || len(m.Result.MTI) != 4 || m.Result.Fields["11"] == "" {
			continue
		}
		mti := m.Result.MTI
		if answer := mti[2]%2 == 1; !answer {
			key := fmt.Sprint(m.Connection, m.side, mti[:2], mti[2:3], m.Result.Fields["11"])
			open[key] = append(open[key], m)
			continue
		}
		key := fmt.Sprint(m.Connection, 1-m.side, mti[:2], string(mti[2]-1), m.Result.Fields["11"])
		i := slices.IndexFunc(open[key], func(q *Message) bool {
			a, b := q.Result.Fields["41"], m.Result.Fields["41"]
			return a == b || a == "" || b == ""
		})
		if i < 0 {
			continue
		}
		q := open[key][i]
		open[key] = slices.Delete(open[key], i, i+1)
		q.AnsweredBy, m.Answers, m.Took = m.Number, q.Number, m.Time.Sub(q.Time).Microseconds()
	}
}

// WriteText writes connections and messages for people.
func (rep *Report) WriteText(w io.Writer, style explain.Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d 个包，%d 条连接，%d 帧 · %d packets, %d connections, %d frames\n", rep.Packets, len(rep.Connections), len(rep.Messages),
		rep.Packets, len(rep.Connections), len(rep.Messages))
	for _, n := range rep.Notes {
		fmt.Fprintf(&b, "  %s · %s\n", n.ZH, n.EN)
	}
	for i := range rep.Connections {
		rep.Connections[i].write(&b)
	}
	style.Brief = true
	for _, m := range rep.Messages {
		if err := m.write(&b, style); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Connection) write(b *strings.Builder) {
	fmt.Fprintf(b, "连接 connection %d: %s → %s", c.Number, c.Client, c.Server)
	if c.Framing == "" {
		b.WriteString("，没有 ISO 8583 报文 · no ISO 8583 messages")
	} else {
		fmt.Fprintf(b, "，分帧 framing %s，方言 dialect %s，报文 messages %d", c.Framing, cmp.Or(c.Dialect, "?"), c.Messages)
	}
	for _, n := range []struct {
		count  int
		zh, en string
	}{{c.Refused, "读不通", "refused"}, {c.Retransmitted, "重传段", "segments retransmitted"}, {c.Reordered, "乱序段", "segments out of order"},
		{c.Lost, "字节缺失", "bytes missing"}, {c.Skipped, "字节不成帧", "bytes in no whole frame"}} {
		if n.count > 0 {
			fmt.Fprintf(b, "，%s %s %d", n.zh, n.en, n.count)
		}
	}
	b.WriteByte('\n')
}

func (m *Message) write(b *strings.Builder, style explain.Style) error {
	fmt.Fprintf(b, "\n#%d %s %s → %s", m.Number, m.Time.Format("2006-01-02 15:04:05.000000"), m.From, m.To)
	switch {
	case m.Result == nil:
		fmt.Fprintf(b, "  %v\n", m.Refused)
		if e, ok := m.Refused.error.(*explain.RefusedError); ok {
			return e.WriteText(b, style)
		}
		return nil
	case m.Answers > 0:
		fmt.Fprintf(b, "  应答 answers #%d，%s", m.Answers, time.Duration(m.Took)*time.Microsecond)
	case m.AnsweredBy > 0:
		fmt.Fprintf(b, "  应答见 answered by #%d", m.AnsweredBy)
	case m.Result.MTI[2]%2 == 0:
		b.WriteString("  捕获中无应答 · no answer in the capture")
	}
	fmt.Fprintf(b, "\n%s %s", m.Result.Dialect, m.Result.MTI)
	if t := m.Result.Transaction; t != nil {
		fmt.Fprintf(b, " %s · %s", t.ZH, t.EN)
	}
	b.WriteByte('\n')
	return m.Result.WriteText(b, style)
}
