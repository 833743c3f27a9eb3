package node

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestSpaceIsWatchedAndComesBack(t *testing.T) {
	l := newLives(t)
	if left, err := freeSpace(t.TempDir()); err != nil || left <= 0 {
		t.Fatal(left, err)
	}
	if _, err := freeSpace("/nowhere/at/all"); err == nil {
		t.Error("the disk of a folder that is not there")
	}
	left, fault := int64(0), error(nil)
	look := func(was bool) bool {
		return l.node.lookSpace(context.Background(), was, func(string) (int64, error) { return left, fault })
	}
	shown := func(want bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // until the next picture
			if p := l.node.Snapshot(); p != nil && p.NoSpace == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the picture never says %v", want)
			}
		}
	}
	left = 512*mib - 1
	if !look(false) {
		t.Fatal("below the reserve")
	}
	shown(true)
	left = 600 * mib
	if !look(true) {
		t.Error("not a quarter above the reserve")
	}
	fault = errors.New("gone")
	if !look(true) || look(false) {
		t.Error("what is not known changes nothing")
	}
	left, fault = 640*mib, nil
	if look(true) {
		t.Error("room again")
	}
	shown(false)
}
