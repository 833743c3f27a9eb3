package iso8583

import "testing"

// The extents of a message's fields follow each other from the bitmap to the
// end, prefix and value together.
func TestExtentsCoverTheMessage(t *testing.T) {
	for _, s := range Builtin() {
		b := s.Begin([]byte("front"), 0x0200)
		b.Put(2, []byte("6225880000000001"))
		b.Put(4, []byte("100"))
		b.Put(41, []byte("T0000001"))
		b.Put(60, []byte("2200000"))
		fields := []int{2, 4, 41, 60}
		if s.Kind(128) != Absent {
			fields = append(fields, 128)
			b.Put(128, []byte("MACMACMA"))
		}
		out, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		var v View
		if err := s.Parse(&v, out[5:]); err != nil {
			t.Fatal(err)
		}
		at, _, _ := v.Extent(2)
		for _, n := range fields {
			start, value, end := v.Extent(n)
			if start != at || string(out[5+value:5+end]) != string(v.Field(n)) || (value > start) == s.Fixed(n) {
				t.Errorf("%s F%d: %d, %d, %d, want the start %d", s.Name(), n, start, value, end, at)
			}
			at = end
		}
		if at != len(v.Bytes()) {
			t.Errorf("%s: ends at %d of %d", s.Name(), at, len(v.Bytes()))
		}
		if a, b, c := v.Extent(3); a+b+c != 0 {
			t.Errorf("%s: an absent field lies at %d, %d, %d", s.Name(), a, b, c)
		}
	}
}
