package tdes

// Lanes is how many keys a Batch works under at a time.
const Lanes = 16

// fewest is how many make Lanes at once cheaper than pairs: unused lanes cost as
// much as used ones (BenchmarkEncryptTwos).
const fewest = 5

// Batch encrypts blocks of many keys at once. Its memory is what a group needs
// while it is at work, so one goroutine at a time may use it.
type Batch struct {
	from [3][Lanes]*schedule // of the three steps of triple DES
	w    work
}

// work is what the assembly reads and writes; it knows the fields by their order.
type work struct {
	// a and b are the halves of the first and the second blocks, as split gives
	// them; a is then the result, as join takes it with the halves changed about.
	a, b [2][Lanes]uint32
	// keys are the round keys, a round's even ones before its odd ones, with a byte
	// of all lanes together: byte p of lane i is at 16*p+i.
	keys [3][2 * rounds][4 * Lanes]byte
}

// EncryptTwos makes each one[i] keys[i].EncryptTwo(one[i], two[i]). All three are of one
// length, which may be any.
func (b *Batch) EncryptTwos(keys []*Key, one, two []uint64) {
	for wide && len(keys) >= fewest {
		n := min(len(keys), Lanes)
		b.group(keys[:n], one[:n], two[:n])
		keys, one, two = keys[n:], one[n:], two[n:]
	}
	twosByPairs(keys, one, two)
}

// twosByPairs is the way of a machine without the instructions, and of what is too
// little for them.
func twosByPairs(keys []*Key, one, two []uint64) {
	i := 0
	for ; i+1 < len(keys); i += 2 {
		x, y := EncryptPair(keys[i], keys[i+1], one[i], one[i+1])
		one[i], one[i+1] = EncryptPair(keys[i], keys[i+1], x^two[i], y^two[i+1])
	}
	if i < len(keys) {
		one[i] = keys[i].EncryptTwo(one[i], two[i])
	}
}

// group does Lanes at most. A single-length key is three times the same, and lanes
// without a block do what the first does.
func (b *Batch) group(keys []*Key, one, two []uint64) {
	third := uint8(0)
	for i := range Lanes {
		k := keys[0]
		if i < len(keys) {
			k = keys[i]
			b.w.a[0][i], b.w.a[1][i] = split(one[i])
			b.w.b[0][i], b.w.b[1][i] = split(two[i])
		}
		b.from[0][i], b.from[1][i], b.from[2][i] = &k.k[0], &k.k[0], &k.k[k.third]
		if k.triple {
			b.from[1][i] = &k.k[1]
		}
		third |= k.third
	}
	lay(&b.w.keys[0], &b.from[0], &wideTables)
	lay(&b.w.keys[1], &b.from[1], &wideTables)
	last := &b.w.keys[0]
	if third != 0 {
		last = &b.w.keys[2]
		lay(last, &b.from[2], &wideTables)
	}
	twice(&b.w, last, &wideTables)
	for i := range one {
		one[i] = join(b.w.a[1][i], b.w.a[0][i])
	}
}
