// Package capture reads the messages of a packet capture: it puts TCP streams
// together, finds the framing, takes each message apart and pairs requests with
// their answers. It reads a file and sends nothing.
package capture

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// MaxPayload bounds what a capture may hold in TCP payload, in bytes: all of it is
// kept while it is put together.
const MaxPayload = 256 << 20

// magics begin a capture: pcapng, and pcap in two byte orders and two units of
// time.
var magics = [][]byte{{0x0A, 0x0D, 0x0D, 0x0A}, {0xD4, 0xC3, 0xB2, 0xA1}, {0xA1, 0xB2, 0xC3, 0xD4}, {0x4D, 0x3C, 0xB2, 0xA1}, {0xA1, 0xB2, 0x3C, 0x4D}}

// Is says that a file which begins so is a capture.
func Is(head []byte) bool {
	for _, m := range magics {
		if bytes.HasPrefix(head, m) {
			return true
		}
	}
	return false
}

// packets is what both file formats give.
type packets interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// connection is one TCP connection; sides[0] is the one that opened it, or that
// was seen first.
type connection struct {
	sides [2]side
	ended bool
}

// reader sorts packets into connections.
type reader struct {
	byPeers map[string]*connection
	all     []*connection
	payload int

	pieces pieces

	packets, short, other int
}

// streams reads a capture to its end. When it is damaged behind some packets,
// which is how one ends that was copied while it was written, they are there
// beside the error.
func streams(in io.Reader) (*reader, error) {
	r := &reader{byPeers: map[string]*connection{}, pieces: newPieces()}
	b := bufio.NewReaderSize(in, 1<<16)
	head, err := b.Peek(4)
	if err != nil || !Is(head) {
		return nil, errors.New("不是 pcap 或 pcapng 文件 / not a pcap or pcapng file")
	}
	var src packets
	var link func(gopacket.CaptureInfo) layers.LinkType
	all := &whole{in: b, ng: bytes.Equal(head, magics[0])}
	if all.ng {
		ng, err := pcapgo.NewNgReader(all, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			return nil, damaged(0, cmp.Or(all.failed, err))
		}
		src, link = ng, interfaces(ng)
	} else {
		p, err := pcapgo.NewReader(all)
		if err != nil {
			return nil, damaged(0, cmp.Or(all.failed, err))
		}
		src, link = p, func(gopacket.CaptureInfo) layers.LinkType { return p.LinkType() }
	}
	for {
		data, info, err := src.ReadPacketData()
		if all.failed != nil {
			return r, damaged(r.packets, all.failed)
		}
		if err == io.EOF {
			return r, nil
		}
		if err != nil {
			return r, damaged(r.packets, err)
		}
		r.packets++
		if info.CaptureLength < info.Length {
			r.short++
		}
		r.packet(gopacket.NewPacket(data, decoder(link(info)), gopacket.DecodeOptions{Lazy: true, NoCopy: true}), info.Timestamp)
		if r.payload+r.pieces.bytes > MaxPayload {
			return nil, fmt.Errorf("TCP 数据超过 %d 字节，请先筛选 / more than %d bytes of TCP payload: filter the capture first", MaxPayload, MaxPayload)
		}
	}
}

// decoder is what takes packets of an interface apart. The library knows packets
// without a link layer by one number only; 12 and 14 are those of some BSDs.
func decoder(link layers.LinkType) gopacket.Decoder {
	switch link {
	case layers.LinkTypeIPv4, layers.LinkTypeIPv6, 12, 14:
		return layers.LinkTypeRaw
	}
	return link
}

// interfaces gives the kind of the interface that a packet of pcapng came by.
func interfaces(ng *pcapgo.NgReader) func(gopacket.CaptureInfo) layers.LinkType {
	return func(info gopacket.CaptureInfo) layers.LinkType {
		if i, err := ng.Interface(info.InterfaceIndex); err == nil {
			return i.LinkType
		}
		return ng.LinkType()
	}
}

func damaged(packets int, err error) error {
	return fmt.Errorf("捕获文件在第 %d 个包之后损坏 / the capture is damaged behind packet %d: %w", packets, packets, err)
}

func (r *reader) packet(p gopacket.Packet, at time.Time) {
	tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	network := p.NetworkLayer()
	if v4, is := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); is && (v4.FragOffset > 0 || v4.Flags&layers.IPv4MoreFragments != 0) {
		if v4 = r.pieces.add(v4); v4 == nil {
			return
		}
		whole := gopacket.NewPacket(v4.Payload, v4.NextLayerType(), gopacket.NoCopy)
		tcp, ok = whole.Layer(layers.LayerTypeTCP).(*layers.TCP)
		network = v4
	}
	if p.Layer(layers.LayerTypeIPv6Fragment) != nil {
		r.pieces.lost++
		return
	}
	if !ok || network == nil {
		r.other++
		return
	}
	a, b := network.NetworkFlow().Endpoints()
	from := net.JoinHostPort(a.String(), fmt.Sprint(uint16(tcp.SrcPort)))
	to := net.JoinHostPort(b.String(), fmt.Sprint(uint16(tcp.DstPort)))
	s := r.side(from, to, tcp)
	if tcp.SYN {
		s.open(tcp.Seq)
	}
	r.payload += len(tcp.Payload)
	seq := tcp.Seq
	if tcp.SYN {
		seq++ // data with a SYN begins behind it
	}
	s.add(seq, tcp.Payload, at)
}

// side finds the direction of a packet. A SYN begins a connection anew when the
// peers' last one has carried something or has ended.
func (r *reader) side(from, to string, tcp *layers.TCP) *side {
	key, back := from+" "+to, to+" "+from
	c, ok := r.byPeers[key]
	if ok && tcp.SYN && !tcp.ACK && (c.ended || len(c.sides[0].runs)+len(c.sides[1].runs) > 0) {
		ok = false
	}
	if !ok {
		c = &connection{sides: [2]side{{from: from, to: to}, {from: to, to: from}}}
		r.byPeers[key], r.byPeers[back] = c, c
		r.all = append(r.all, c)
	}
	c.ended = c.ended || tcp.RST || tcp.FIN
	if c.sides[0].from == from {
		return &c.sides[0]
	}
	return &c.sides[1]
}
