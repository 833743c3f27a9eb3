package engine

import (
	"bytes"
	"encoding/binary"
	"errors"

	"tongka/translate"
	"tongka/txn"
)

// OfflineRecords knows how offline transactions in messages are written.
type OfflineRecords interface {
	// Check reads every record and gives their sum in fen, and each a name that is
	// the same for the same transaction only. It keeps nothing of records; its error
	// names record and byte.
	Check(records []byte, each func(name [16]byte)) (sum int64, err error)
}

// Offline transactions in messages wait in the journal's database until somebody
// beside the shard has them in the store that is theirs:
//
//	offline-in/ID8 big endian   → merchant:15 terminal:8 and the records, as F62 had them
//	offline-seen/name16         → nothing: it was taken before
//	offline-age/ID8 big endian  → at:8 little endian, Unix ns, and the names16 that this upload was the first with
const (
	OfflinePrefix = "offline-in/"
	seenPrefix    = "offline-seen/"
	agePrefix     = "offline-age/"
	offlineHead   = 15 + 8
)

func uploadKey(prefix string, id txn.ID) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefix), uint64(id))
}

// offlineWork is what an upload of them brings.
type offlineWork struct {
	records []byte
	fresh   [][]byte // keys of those that are new
}

// takeOffline gives the code that refuses an upload of offline transactions, or
// holds them for noteOffline: 30 for what does not read, 13 for another sum than F4,
// 94 when all of it was taken before. A record that is new beside an old one passes,
// and the store tells the two apart.
func (s *Shard) takeOffline(sl *slot, u *translate.Upload) txn.Code {
	if s.cfg.Offline == nil {
		return txn.NotSupported
	}
	w := &offlineWork{}
	var names [][]byte
	sum, err := s.cfg.Offline.Check(u.Records, func(name [16]byte) { names = append(names, append([]byte(seenPrefix), name[:]...)) })
	switch {
	case err != nil:
		s.refusedLine(sl, err.Error())
		return txn.BadFormat
	case sum != u.Amount:
		return txn.BadAmount
	}
	for _, key := range names {
		_, seen, err := s.log.Lookup(key, nil)
		if err != nil {
			return txn.SystemFault
		}
		if !seen {
			w.fresh = append(w.fresh, key)
		}
	}
	if len(w.fresh) == 0 {
		return txn.Duplicate
	}
	w.records = bytes.Clone(u.Records)
	sl.day = &dayWork{offline: w}
	return txn.Code{}
}

// noteOffline keeps what an upload brought, in the batch of its answer.
func (s *Shard) noteOffline(sl *slot) {
	w := sl.day.offline
	value := append(append(append(make([]byte, 0, offlineHead+len(w.records)), sl.Terminal.Merchant[:]...), sl.Terminal.Number[:]...), w.records...)
	s.log.Put(uploadKey(OfflinePrefix, sl.ID), value)
	age := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+16*len(w.fresh)), uint64(s.now))
	for _, key := range w.fresh {
		s.log.Put(key, nil)
		age = append(age, key[len(seenPrefix):]...)
	}
	s.log.Put(uploadKey(agePrefix, sl.ID), age)
	s.stats.OfflineRecords += uint64(len(w.fresh))
}

// OfflineMessage is one upload that waits.
type OfflineMessage struct {
	ID       txn.ID
	Terminal txn.Terminal
	Records  []byte
}

// EachOffline shows the uploads that wait, by their numbers. It reads beside the
// shard; the records are lent.
func EachOffline(from store, show func(*OfflineMessage) error) error {
	return from.Each([]byte(OfflinePrefix), func(key, plain []byte) error {
		if len(key) != len(OfflinePrefix)+8 || len(plain) < offlineHead {
			return errUnread
		}
		m := OfflineMessage{ID: txn.ID(binary.BigEndian.Uint64(key[len(OfflinePrefix):])), Records: plain[offlineHead:]}
		copy(m.Terminal.Merchant[:], plain)
		copy(m.Terminal.Number[:], plain[15:])
		return show(&m)
	})
}

// HandedOver is the command that forgets uploads which are in their own store, and
// what was kept under a name for that: one batch.
type HandedOver struct {
	IDs  []txn.ID
	Kept string
}

func (c *HandedOver) perform(s *Shard) error {
	for _, id := range c.IDs {
		s.log.Delete(uploadKey(OfflinePrefix, id))
	}
	s.log.Delete(KeptKey(c.Kept))
	return nil
}

// OldOffline gives the uploads of before a time in Unix nanoseconds whose records'
// names are still known, the oldest first and at most so many. It reads beside the
// shard.
func OldOffline(from store, before int64, most int) (ids []txn.ID, err error) {
	enough := errors.New("enough")
	err = from.Each([]byte(agePrefix), func(key, plain []byte) error {
		switch {
		case len(key) != len(agePrefix)+8 || len(plain) < 8:
			return errUnread
		case len(ids) == most || int64(binary.LittleEndian.Uint64(plain)) >= before:
			return enough
		}
		ids = append(ids, txn.ID(binary.BigEndian.Uint64(key[len(agePrefix):])))
		return nil
	})
	if err == enough {
		err = nil
	}
	return ids, err
}

// ForgetOffline is the command that forgets the names of uploads' records, so that
// they do not grow for ever: one batch. Who sends such a record again is told 00 in
// place of 94, and the offline store finds the duplicate.
type ForgetOffline struct{ IDs []txn.ID }

func (c *ForgetOffline) perform(s *Shard) error {
	for _, id := range c.IDs {
		key := uploadKey(agePrefix, id)
		b, found, err := s.log.Lookup(key, nil)
		if err != nil {
			return err
		}
		if !found || len(b) < 8 {
			continue
		}
		for b = b[8:]; len(b) >= 16; b = b[16:] {
			s.log.Delete(append([]byte(seenPrefix), b[:16]...))
		}
		s.log.Delete(key)
	}
	return nil
}
