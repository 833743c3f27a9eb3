package offline

import "github.com/cockroachdb/pebble/v2"

// SetStep has f asked at every place where a kill may come.
func (o *Options) SetStep(f func(name string) error) { o.step = f }

// SetPage makes pages smaller.
func (o *Options) SetPage(records uint32) { o.page = records }

// Dump gives every key and value.
func (s *Store) Dump() (map[string]string, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{})
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for ok := it.First(); ok; ok = it.Next() {
		all[string(it.Key())] = string(it.Value())
	}
	return all, it.Close()
}
