package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"tongka/clearing/purses"
	"tongka/clearing/rules"
	"tongka/clearing/station"
	"tongka/config"
	"tongka/node"
	"tongka/offline"
)

// pursesOf is the store of offline transactions, for a run. The switch and other
// commands are at it for moments, for which it waits.
func pursesOf(ctx context.Context, cfg *config.Config, zone *time.Location) *purses.Store {
	return &purses.Store{Dir: cfg.OfflineDir(), Zone: zone, Open: func() (store *offline.Store, end func() error, err error) {
		late := poll(ctx, busyFor, "", func(context.Context) bool {
			store, end, err = node.OpenOffline(cfg, false)
			return !errors.Is(err, offline.ErrBusy)
		})
		if err == nil && late != nil {
			err = late
		}
		return store, end, err
	}}
}

// shareCities gives the rules the cities of the station, when they have none: files to
// cities and positions by city are of the same ones.
func shareCities(r *rules.Rules, cities []station.City) error {
	same := func(a rules.City, b station.City) bool {
		return a.Name == b.Name && slices.Equal(a.Merchants, b.Merchants)
	}
	switch {
	case len(cities) == 0 || slices.EqualFunc(r.Cities, cities, same):
	case len(r.Cities) > 0:
		return errors.New("规则与 station.yaml 的 cities 不同，只须写一处 · the cities of the rules and of station.yaml differ: one of them is enough")
	default:
		for _, c := range cities {
			r.Cities = append(r.Cities, rules.City(c))
		}
	}
	return nil
}
