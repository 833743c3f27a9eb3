package translate

import (
	"strings"
	"testing"

	"tongka/codec/iso8583"
)

func batchMessage(t *testing.T, mti iso8583.MTI, f60, f48 string, more func(*iso8583.Builder)) (iso8583.View, Echo) {
	t.Helper()
	b := iso8583.Pos().Begin(nil, mti)
	if more != nil {
		more(&b)
	}
	b.Put(41, []byte("T0000001"))
	b.Put(42, []byte("898310048160001"))
	if f48 != "" {
		b.Put(48, []byte(f48))
	}
	b.Put(60, []byte(f60))
	msg, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	v, _, e, _ := read(t, msg)
	return v, e
}

const sums48 = "000000012345002" + "000000000100001" + "0" + "000000000000000" + "000000000007003" + "0"

func TestTotalsComeAndGo(t *testing.T) {
	v, _ := batchMessage(t, 0x0500, "00000001201", sums48, nil)
	got, err := ReadTotals(&v)
	want := [2]Sums{{Debit: 12345, Debits: 2, Credit: 100, Credits: 1}, {Credit: 7, Credits: 3}}
	if err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	text := string(AppendTotals(nil, &got, [2]Verdict{Equal, Unequal}))
	if text != sums48[:30]+"1"+sums48[31:61]+"2" {
		t.Errorf("answered %s", text)
	}
	huge := [2]Sums{{Debit: 1 << 50, Debits: 5000, Credit: -4, Credits: -1}}
	if text := string(AppendTotals(nil, &huge, [2]Verdict{Failed, Failed})); text[:31] != "999999999999999"+"000000000000000"+"3" {
		t.Errorf("what does not fit: %s", text)
	}
	for _, bad := range []string{"", sums48[:61], sums48 + "0", sums48[:30]} {
		v, _ := batchMessage(t, 0x0500, "00000001201", bad, nil)
		if got, err := ReadTotals(&v); err == nil {
			t.Errorf("%q is taken for %+v", bad, got)
		}
	}
}

func item(class, trace, pan, amount string) string {
	return class + trace + strings.Repeat("0", 20-len(pan)) + pan + amount
}

func TestUploadIsRead(t *testing.T) {
	one := item("00", "000007", "6225880000000003", "000000001250")
	two := item("01", "000008", "4000000000000002", "000000000001")
	v, e := batchMessage(t, 0x0320, "00000001201", "02"+one+two, nil)
	var u Upload
	if err := ReadUpload(&v, &e, &u); err != nil || u.Items != 2 || u.End {
		t.Fatalf("%+v, %v", u, err)
	}
	if i := u.Item[0]; i.Foreign || i.Trace != 7 || i.Amount != 1250 || string(i.PAN[:]) != "00006225880000000003" {
		t.Errorf("%+v", i)
	}
	if i := u.Item[1]; !i.Foreign || i.Trace != 8 || i.Amount != 1 {
		t.Errorf("%+v", i)
	}
	for _, code := range []string{"202", "207"} {
		v, e = batchMessage(t, 0x0320, "00000001"+code, "0012", nil)
		u = Upload{}
		if err := ReadUpload(&v, &e, &u); err != nil || !u.End || u.Count != 12 || u.Items != 0 {
			t.Errorf("%s: %+v, %v", code, u, err)
		}
	}
	single := func(b *iso8583.Builder) {
		b.Put(2, []byte("6225880000000003"))
		b.PutUint(4, 990)
		b.PutUint(11, 41)
	}
	v, e = batchMessage(t, 0x0320, "00000001205", "", single)
	u = Upload{}
	if err := ReadUpload(&v, &e, &u); err != nil || u.Items != 1 || u.Item[0].Trace != 41 || u.Item[0].Amount != 990 || string(u.Item[0].PAN[:]) != "00006225880000000003" {
		t.Errorf("%+v, %v", u, err)
	}
}

// Each of these is refused as a whole: none of its items counts.
func TestHostileUploads(t *testing.T) {
	one := item("00", "000007", "6225880000000003", "000000001250")
	for what, c := range map[string]struct{ net, f48 string }{
		"nothing": {"201", ""}, "no items": {"201", "00"}, "fewer than it says": {"201", "02" + one}, "more than it says": {"201", "01" + one + one},
		"cut in the middle": {"201", "01" + one[:39]}, "more than there can be": {"201", "99" + one}, "an end without a count": {"202", ""},
		"an end of twenty digits": {"207", "00000000000000000001"}, "one without its fields": {"203", ""},
	} {
		v, e := batchMessage(t, 0x0320, "00000001"+c.net, c.f48, nil)
		var u Upload
		if err := ReadUpload(&v, &e, &u); err == nil {
			t.Errorf("%s: %+v", what, u)
		}
	}
}
