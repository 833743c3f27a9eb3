package engine

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	"go.uber.org/zap"

	"tongka/card"
	"tongka/fault"
	"tongka/flow"
	"tongka/hsm"
	"tongka/translate"
	"tongka/txn"
)

// Cards says which e-purse cards are loaded, and how.
type Cards struct {
	Ceiling uint32           // fen on a card at most
	Single  uint32           // fen of one load at most
	Cities  map[[2]byte]bool // packed digits; empty: all
	Keys    hsm.CardKeys     // load and TAC keys, under the LMK
	Levels  [3]uint8         // of diversification, by card.Family: 1 the card, 2 issuer and card
	SM4     map[uint8]bool   // algorithm identifiers of cards that mean SM4; all others are 3DES
	Spent   bool             // a balance that purchases have lowered since is no contradiction
	Virtual [6]byte          // terminal number of air top-ups
	AirKey  uint8            // key index on the card that air top-ups name
	// Alert is told of what smells, or is for a person; it must not wait. May be nil.
	Alert func(CardAlert)
}

// CardAlert is one alarm about a card.
type CardAlert struct {
	At       int64 // Unix nanoseconds
	Alarm    flow.Alarm
	Reason   card.Reason // of a card that is parked
	Card     string      // its serial, masked
	Amount   int64       // fen
	Load     txn.ID      // the load in question: that which is open, else this request
	Terminal txn.Terminal
	Trace    uint32
}

func (c *Cards) validate() error {
	switch {
	case c == nil:
		return nil
	case c.Ceiling == 0 || c.Single == 0:
		return errors.New("engine: cards: ceiling and limit of a load must be above zero")
	case max(c.Levels[card.CityCard], c.Levels[card.TUnion]) > 2:
		return errors.New("engine: cards: at most 2 levels of diversification")
	}
	return nil
}

// cardDesk is what a shard keeps for them.
type cardDesk struct {
	*Cards
	parked int       // cards that wait for a person
	names  hash.Hash // of cards in keys of the journal's database, under the folder's secret
	name   [1 + len(card.Serial{})]byte
	sum    [sha256.Size]byte
	more   hsm.More
	field  []byte
	second int64   // of digits
	digits [7]byte // its date and time, packed
	shard  *Shard
}

// takeCards puts the configuration of cards into force.
func (s *Shard) takeCards() {
	s.cards.Cards, s.cards.shard = s.cfg.Cards, s
	s.env.Cards = nil
	if s.cfg.Cards != nil {
		s.env.Cards = &s.cards
	}
}

const cardSecret = "card-secret"

// bindCards reads the secret of this data folder's card names, or makes it. The
// keys of the database are not sealed, and a plain hash of a serial is soon found.
func (s *Shard) bindCards() error {
	if s.cfg.Cards == nil {
		return nil
	}
	var secret [32]byte
	b, ok, err := s.log.Lookup([]byte(cardSecret), nil)
	switch {
	case err != nil:
		return err
	case !ok:
		if _, err := rand.Read(secret[:]); err != nil {
			return err
		}
		s.log.Put([]byte(cardSecret), secret[:])
		if err := s.commit(); err != nil {
			return err
		}
	case copy(secret[:], b) != len(b) || len(b) != len(secret):
		return fmt.Errorf("the secret of card names has %d bytes", len(b))
	}
	s.cards.names = hmac.New(sha256.New, secret[:])
	return s.countParked()
}

// of names a card's object.
func (c *cardDesk) of(f card.Family, serial *card.Serial) (o object) {
	c.names.Reset()
	c.name[0] = byte(f)
	copy(c.name[1:], serial[:])
	c.names.Write(c.name[:])
	o.class = cardObject
	copy(o.id[:16], c.names.Sum(c.sum[:0]))
	return o
}

func orderOf(n card.Number) object { return object{orderObject, n} }

// readCard takes F58 of a request about a card.
func (s *Shard) readCard(p *peer, sl *slot) txn.Code {
	if s.cfg.Cards == nil || !flow.OfCards(sl.Kind) {
		return txn.NotSupported
	}
	l := sl.room()
	if err := translate.ReadCard(s.view, sl.Kind, &l.Data); err != nil {
		s.badFrame(p, err)
		return txn.BadFormat
	}
	sl.Load = l
	if sl.Kind == txn.AirLoad {
		return s.readRound(l)
	}
	return txn.Code{}
}

// room gives a slot's own memory for a load, empty.
func (sl *slot) room() *flow.Load {
	if sl.load == nil {
		sl.load = new(flow.Load)
	}
	*sl.load = flow.Load{}
	return sl.load
}

// readRound takes from the card's answer what a terminal says in elements.
func (s *Shard) readRound(l *flow.Load) txn.Code {
	switch l.Round {
	case 2:
		if !l.Initialised() {
			return txn.BadFormat
		}
		l.Terminal, l.KeyIndex = s.cfg.Cards.Virtual, s.cfg.Cards.AirKey
	case 3:
		l.Credited()
	}
	l.Reply = nil // it was lent
	return txn.Code{}
}

// Refuse implements flow.Cards.
func (c *cardDesk) Refuse(t *flow.Txn) (txn.Code, bool) {
	l := t.Load
	if l.Family != card.CityCard && l.Family != card.TUnion {
		return txn.BadCard, false
	}
	if why, listed := c.shard.listedSerial(&l.Serial); listed {
		return why, true
	}
	if len(c.Cities) > 0 && !c.Cities[l.City] {
		return txn.BadIssuer, false
	}
	if t.Opens() {
		return txn.Code{}, false
	}
	switch adds := t.Kind != txn.LoadVoid && t.Kind != txn.Unload; {
	case t.Amount > int64(c.Single) || adds && t.Amount+int64(l.Balance) > int64(c.Ceiling):
		return txn.OverAmount, false
	case t.Kind == txn.Unload && t.PAN.Len() == 0:
		return txn.BadCard, false // whose account?
	case t.Kind == txn.Unload && t.Amount > int64(l.Balance):
		return txn.NoFunds, false
	}
	id := c.keyID(l.Family, l.Issuer, l.KeyIndex, l.KeyVer, l.Alg)
	for _, use := range [...]hsm.CardKeyID{c.sessionKey(id, t.Kind), tacKey(id)} {
		if _, ok := c.Keys.Find(use); !ok {
			return txn.NoKey, false
		}
	}
	return txn.Code{}, false
}

// listedSerial looks for a purse card in the list of this moment. A grey one passes,
// and is counted.
func (s *Shard) listedSerial(serial *card.Serial) (txn.Code, bool) {
	b := s.cfg.Books.Blacklist
	if b == nil || b.List().Len() == 0 {
		return txn.Code{}, false
	}
	var digits [2 * len(card.Serial{})]byte
	hex.Encode(digits[:], serial[:])
	print, err := s.daily.hasher.Serial(digits[:])
	if err != nil {
		return txn.SystemFault, true // 20 digits are right
	}
	mark, ok := b.List().Find(print)
	switch {
	case !ok:
		return txn.Code{}, false
	case mark.Grey():
		s.stats.Greylisted++
		return txn.Code{}, false
	}
	s.stats.Blacklisted++
	return mark.Code(), true
}

// Spent implements flow.Cards.
func (c *cardDesk) Spent() bool { return c.Cards.Spent }

func (c *cardDesk) keyID(f card.Family, issuer [8]byte, index, version, alg uint8) hsm.CardKeyID {
	id := hsm.CardKeyID{Family: hsm.CityCard, Index: index, Version: version, Issuer: issuer}
	if f == card.TUnion {
		id.Family = hsm.TUnion
	}
	if c.SM4[alg] {
		id.Alg = hsm.CardSM4
	}
	return id
}

// sessionKey is the key that MAC1 and MAC2 of a kind are made under.
func (c *cardDesk) sessionKey(id hsm.CardKeyID, k txn.Kind) hsm.CardKeyID {
	id.Unload = k == txn.Unload
	return id
}

func tacKey(id hsm.CardKeyID) hsm.CardKeyID {
	id.TAC = true
	return id
}

// holdCard locks the card and the orders that are concerned, and reads them.
func (s *Shard) holdCard(sl *slot) flow.Event {
	ev := flow.Event{Kind: flow.Found, Now: s.now}
	l := sl.Load
	o := s.cards.of(l.Family, &l.Serial)
	if sl.index == scratchIndex || !s.lock(sl, o) {
		ev.Deny = txn.InProgress
		return ev
	}
	err := s.readPurse(o, l)
	for _, want := range [...]struct {
		number card.Number
		to     *card.Order
	}{{l.Purse.Order, &l.Past}, {l.Data.Order, &l.Order}} {
		if err != nil || want.number == (card.Number{}) {
			continue
		}
		if !s.lock(sl, orderOf(want.number)) {
			ev.Deny = txn.InProgress
			return ev
		}
		*want.to, err = s.order(want.number)
	}
	if err != nil {
		s.zap.Error("card not read", fault.Field(fault.CardUnread), zap.Error(err))
		ev.Deny = txn.SystemFault
	}
	return ev
}

// order reads one; without a number when there is none.
func (s *Shard) order(n card.Number) (card.Order, error) {
	o := orderOf(n)
	b, ok, err := s.look(&o)
	if err != nil || !ok {
		return card.Order{}, err
	}
	return card.ReadOrder(b)
}

func (s *Shard) saveOrder(sl *slot, past bool) {
	o := &sl.Load.Order
	if past {
		o = &sl.Load.Past
	}
	s.putOrder(o)
}

// cardRequest makes s.req a command about a card.
func (s *Shard) cardRequest(sl *slot, step flow.Step) txn.Code {
	l, p := sl.Load, &sl.Load.Purse
	more := &s.cards.more
	*more = hsm.More{}
	c := &more.Card
	*c = hsm.Card{Kind: purseKind(sl.Kind), Balance: l.Balance, Amount: uint32(sl.Amount), Seq: l.Seq, Random: l.Random, Terminal: l.Terminal}
	family, serial, issuer, index, version, alg := l.Family, &l.Serial, l.Issuer, l.KeyIndex, l.KeyVer, l.Alg
	switch step {
	case flow.MakeMAC2:
		if l.Time == [7]byte{} {
			l.Time = s.cards.time(s.now)
		}
		c.Time = l.Time
	case flow.VerifyTAC: // of what was told to the card, not of what the terminal says
		family, serial, issuer, index, version, alg = p.Family, &p.Serial, p.Issuer, p.KeyIndex, p.KeyVer, p.Alg
		*c = hsm.Card{Kind: purseKind(p.Kind), Balance: p.Balance, Amount: p.Amount, Seq: p.Seq, Random: p.Random, Terminal: p.Terminal, Time: p.Time}
	}
	id := s.cards.sessionKey(s.cards.keyID(family, issuer, index, version, alg), sl.Kind)
	if step == flow.VerifyTAC {
		id = tacKey(id)
	}
	key, ok := s.cards.Keys.Find(id)
	if !ok {
		return txn.NoKey
	}
	c.Family, c.Alg = id.Family, id.Alg
	c.Levels = max(s.cards.Levels[family], 1)
	c.Div[c.Levels-1] = [8]byte(serial[2:])
	if c.Levels == 2 {
		c.Div[0] = issuer
	}
	q := &s.req
	q.Type, q.Key, q.More = hsm.MKAC, key, more
	switch step {
	case flow.VerifyMAC1:
		q.Verb = hsm.VerifyMAC1
		copy(q.MAC[:], l.MAC1[:])
	case flow.MakeMAC2:
		q.Verb = hsm.MakeMAC2
	case flow.VerifyTAC:
		q.Verb = hsm.VerifyTAC
		copy(q.MAC[:], l.TAC[:])
	}
	return txn.Code{}
}

// purseKind is how the card itself names what is done.
func purseKind(k txn.Kind) byte {
	if k == txn.Unload {
		return hsm.PurseUnload
	}
	return hsm.PurseLoad
}

// time is packedTime, of whose result all loads of a second have one.
func (c *cardDesk) time(at int64) [7]byte {
	if second := at / int64(time.Second); second != c.second {
		c.second, c.digits = second, packedTime(at)
	}
	return c.digits
}

// packedTime is a moment as YYYYMMDDhhmmss in packed digits.
func packedTime(at int64) (b [7]byte) {
	digits := time.Unix(0, at).In(translate.Zone).Format("20060102150405")
	for i := range b {
		b[i] = digits[2*i]<<4&0xF0 | digits[2*i+1]&15
	}
	return b
}

// recallBank makes the bank's answer the one in hand again, which a module behind
// a socket has made wait.
func (s *Shard) recallBank(sl *slot) {
	if sl.Load == nil || len(sl.Load.Bank) == 0 {
		return
	}
	if s.links[sl.Link].cfg.Bank.Plain().Parse(&s.bview, sl.Load.Bank) == nil {
		s.answering = sl
	}
}

// cardField is F58 of an answer: nothing in a refusal. It is lent until the next.
func (s *Shard) cardField(sl *slot) []byte {
	l := sl.Load
	if !sl.Code.Approved() {
		return nil
	}
	b := card.AppendTag(s.cards.field[:0], card.TagFamily, byte(l.Family))
	b = card.AppendTag(b, card.TagSerial, l.Serial[:]...)
	switch {
	case l.Writes && sl.Kind == txn.AirLoad:
		b = card.AppendTag(b, card.TagScript, card.AppendCredit(nil, &l.Time, &l.MAC2)...)
	case l.Writes:
		b = card.AppendTag(b, card.TagMAC2, l.MAC2[:]...)
		b = card.AppendTag(b, card.TagTime, l.Time[:]...)
		if l.Rewrite {
			b = card.AppendTag(b, card.TagRewrite, 1)
		}
	case sl.Kind == txn.AirLoad && sl.Opens():
		b = card.AppendTag(b, card.TagScript, card.AppendInitialise(nil, s.cards.AirKey, uint32(sl.Amount), &s.cards.Virtual)...)
	}
	if sl.Kind == txn.OrderQuery {
		for i := range l.Orders {
			o := &l.Orders[i]
			until := packedTime(o.Until)
			b = card.AppendTag(b, card.TagOrder, []byte(o.Number.String())...)
			b = card.AppendTag32(b, card.TagAmount, o.Amount)
			b = card.AppendTag(b, card.TagUntil, until[:4]...)
		}
	}
	s.cards.field = b
	return b
}

// alert tells people of something about a card.
func (s *Shard) alert(sl *slot, alarm flow.Alarm) {
	l := sl.Load
	a := CardAlert{At: s.now, Alarm: alarm, Reason: l.Purse.Reason, Card: l.Serial.String(), Amount: sl.Amount,
		Load: sl.ID, Terminal: sl.Terminal, Trace: sl.Trace}
	if alarm == flow.CardParked {
		a.Load = l.Purse.Load
	} else {
		a.Reason = card.NoReason
	}
	s.stats.CardAlarms++
	// A parked card is for a person: no limit on lines keeps it out of the log.
	if alarm != flow.CardParked && !s.badLines.allow(s.now) {
		s.cfg.Faults.Count(fault.CardAlarm)
	} else {
		s.zap.Error("card", fault.Field(fault.CardAlarm), zap.Stringer("alarm", alarm), zap.Stringer("reason", a.Reason), zap.String("card", a.Card),
			zap.Int64("amount", a.Amount), zap.Uint64("load", uint64(a.Load)), zap.ByteString("terminal", a.Terminal.Number[:]))
	}
	if s.cards.Alert != nil {
		s.cards.Alert(a)
	}
}
