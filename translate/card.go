package translate

import (
	"tongka/card"
	"tongka/codec/iso8583"
	"tongka/txn"
)

// What F58 of a request must say, by its kind and the round of an air top-up.
var (
	whichCard = []byte{card.TagFamily, card.TagIssuer, card.TagCity, card.TagSerial}
	wholeLoad = append([]byte{card.TagBalance, card.TagSeq, card.TagKey, card.TagRandom, card.TagMAC1, card.TagTerminal}, whichCard...)
	withOrder = append([]byte{card.TagOrder}, wholeLoad...)
	airRounds = [4][]byte{
		{card.TagRound},
		append([]byte{card.TagRound, card.TagOrder}, whichCard...),
		append([]byte{card.TagRound, card.TagOrder, card.TagReply}, whichCard...),
		append([]byte{card.TagRound, card.TagOrder, card.TagReply}, whichCard...),
	}
	confirmed   = []byte{card.TagFamily, card.TagSerial, card.TagSeq, card.TagStatus}
	signedToo   = append([]byte{card.TagTAC}, confirmed...)
	cardDemands = map[txn.Kind][]byte{
		txn.LoadAccount: wholeLoad, txn.LoadOther: wholeLoad, txn.LoadCash: wholeLoad, txn.LoadVoid: wholeLoad, txn.Unload: wholeLoad,
		txn.OrderLoad: withOrder, txn.OrderQuery: whichCard, txn.LoadConfirm: confirmed, txn.AirLoad: airRounds[0],
	}
)

// ReadCard reads F58 of a request about a card. An error names the field and the
// byte; d.Reply is lent from the message.
func ReadCard(v *iso8583.View, k txn.Kind, d *card.Data) error {
	b := v.Field(58)
	if err := d.Parse(b, cardDemands[k]...); err != nil {
		return err
	}
	switch {
	case k == txn.AirLoad:
		return d.Parse(b, airRounds[d.Round]...)
	case k == txn.LoadConfirm && d.Status == card.Written:
		return d.Parse(b, signedToo...)
	}
	return nil
}
