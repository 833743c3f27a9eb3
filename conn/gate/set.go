package gate

import "net/netip"

// set holds prefixes of addresses. A look costs one step for each length that
// occurs, however many prefixes there are.
type set struct {
	lengths4, lengths6 []int
	has                map[netip.Prefix]struct{}
}

func newSet(prefixes []netip.Prefix) *set {
	s := &set{has: map[netip.Prefix]struct{}{}}
	seen := map[[2]int]bool{}
	for _, p := range prefixes {
		p = plain(p)
		s.has[p] = struct{}{}
		if key := [2]int{p.Addr().BitLen(), p.Bits()}; !seen[key] {
			seen[key] = true
			if p.Addr().Is4() {
				s.lengths4 = append(s.lengths4, p.Bits())
			} else {
				s.lengths6 = append(s.lengths6, p.Bits())
			}
		}
	}
	return s
}

// plain masks a prefix, and makes one of IPv4 of one that is written inside IPv6.
func plain(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

func (s *set) contains(a netip.Addr) bool {
	lengths := s.lengths6
	if a.Is4() {
		lengths = s.lengths4
	}
	for _, n := range lengths {
		p, err := a.Prefix(n)
		if err != nil {
			continue
		}
		if _, ok := s.has[p]; ok {
			return true
		}
	}
	return false
}
