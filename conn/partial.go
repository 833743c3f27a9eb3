package conn

import "math/bits"

// partials lends buffers for frames that have not come whole. One belongs to
// each loop, so that idle connections hold no memory and no lock is needed.
type partials struct {
	free [maxClass + 1][][]byte // by size, 1<<class bytes
}

const (
	minClass  = 8  // 256 bytes hold most requests
	maxClass  = 21 // holds maxPayload and its overhead
	keepSpare = 64 // of each size; what is over goes to the garbage collector
)

// add appends piece to a buffer that came from here, or nil, and changes to a
// larger one where needed.
func (s *partials) add(buf, piece []byte) []byte {
	if need := len(buf) + len(piece); need > cap(buf) {
		larger := append(s.get(need), buf...)
		s.put(buf)
		buf = larger
	}
	return append(buf, piece...)
}

func (s *partials) get(size int) []byte {
	class := classOf(size)
	spare := s.free[class]
	if n := len(spare); n > 0 {
		s.free[class] = spare[:n-1]
		return spare[n-1]
	}
	return make([]byte, 0, 1<<class)
}

// classOf is the class of buffers that hold size bytes.
func classOf(size int) int { return max(bits.Len(uint(size-1)), minClass) }

func (s *partials) put(buf []byte) {
	if cap(buf) == 0 {
		return
	}
	class := classOf(cap(buf))
	if len(s.free[class]) < keepSpare {
		s.free[class] = append(s.free[class], buf[:0])
	}
}
