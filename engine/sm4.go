package engine

import (
	"tongka/hsm"
	"tongka/translate"
	"tongka/txn"
)

// signInKeys holds what a sign-in asks for against the terminal's master key: a key
// for SM4 travels under one for SM4, and nothing else does. Host commands have no MAC
// of SM4, so behind a socket such a terminal is refused here and not at each sale.
func (s *Shard) signInKeys(sl *slot) txn.Code {
	key := s.reg.TMK(sl.term)
	asks := sl.echo.Net() == translate.SM4Keys
	switch {
	case asks != (key.Scheme == hsm.SM4Scheme):
		s.refusedLine(sl, "sign-in for keys of another cipher than the master key's")
		return txn.NoKey
	case asks && s.cfg.Module == nil:
		s.refusedLine(sl, "SM4 sign-in: the security modules have no command for it")
		return txn.NotSupported
	}
	return txn.Code{}
}

// pinRequest makes the command that takes a PIN from the terminal's key to the bank's.
// Each side's cipher says how long its block is.
func (s *Shard) pinRequest(sl *slot, q *hsm.Request) txn.Code {
	q.From, q.To = pinISO0, pinISO0
	p, pan12, _ := translate.PIN(s.view, &sl.Facts)
	q.PAN12 = pan12
	from, to := q.Key.Scheme == hsm.SM4Scheme, q.Key2.Scheme == hsm.SM4Scheme
	if from != (p.N == len(p.B)) {
		return txn.BadPIN
	}
	if !from && !to {
		copy(q.PIN[:], p.B[:])
		return txn.Code{}
	}
	s.sm4 = hsm.More{Block: p.B}
	q.More = &s.sm4
	if copy(q.PIN[:], p.B[:]); from {
		q.From = hsm.SM4PIN
	}
	if to {
		q.To = hsm.SM4PIN
	}
	return txn.Code{}
}
