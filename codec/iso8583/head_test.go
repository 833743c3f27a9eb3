package iso8583

import "testing"

// TestHead: where the first field begins, in every form of a bitmap, whatever field
// is refused; nothing when the bitmap itself is.
func TestHead(t *testing.T) {
	for _, c := range []struct {
		spec *Spec
		put  []int
		want int
	}{{Pos(), []int{3, 11}, 10}, {Cups(), []int{3, 11}, 20}, {Cups(), []int{3, 70}, 20}} {
		b := c.spec.Begin(nil, 0x0200)
		for _, n := range c.put {
			b.PutUint(n, 1)
		}
		msg, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		var v View
		for n := range len(msg) {
			want := c.want
			if n < want {
				want = 0
			}
			if err := c.spec.Parse(&v, msg[:n]); err == nil || v.Head() != want {
				t.Errorf("%s cut to %d bytes: %d, want %d (%v)", c.spec.Name(), n, v.Head(), want, err)
			}
		}
	}
}
