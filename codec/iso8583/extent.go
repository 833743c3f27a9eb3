package iso8583

// Extent says where field n lies, in bytes from the MTI: the field begins at
// start, with the length prefix if it has one, its value at value, and it ends
// before end. All three are 0 when the field is absent. A drawing of a message
// needs it; transactions do not.
func (v *View) Extent(n int) (start, value, end int) {
	if !v.Has(n) {
		return 0, 0, 0
	}
	start, p := len(v.Before(n)), v.Field(n)
	value = v.spans[n&255].At()
	return start, value, value + len(p)
}

// Head gives how many bytes MTI and bitmaps take in front of the first field; 0 when
// Parse failed at one of them.
func (v *View) Head() int {
	s := v.spec
	n := s.mtiSize + s.mapSize
	if v.err.Field < 2 && v.err.Reason != 0 || len(v.msg) < n {
		return 0
	}
	first := v.msg[s.mtiSize]
	if s.mapSize != 8 {
		first = s.maps.HexOf()[first] << 4
	}
	if first&0x80 != 0 {
		n += s.mapSize
	}
	return n
}
