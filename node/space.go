package node

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/engine"
	"tongka/fault"
	"tongka/txn"
)

const (
	spaceEvery = time.Second
	mib        = 1 << 20
)

// freeSpace is what an ordinary user may still write on the disk of a folder, in
// bytes.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// watchSpace has new requests refused before the journal cannot be written:
// Pebble cannot be brought back from a disk that is full. They are taken again
// once there is a quarter more than the reserve, so that it does not flutter.
func (n *Node) watchSpace(stop <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	look := time.NewTicker(spaceEvery)
	defer look.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // a stop does not wait for a shard that is busy
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	for crowded := false; ; {
		crowded = n.lookSpace(ctx, crowded, freeSpace)
		select {
		case <-stop:
			return
		case <-look.C:
		}
	}
}

// lookSpace looks once, and gives what holds from now on.
func (n *Node) lookSpace(ctx context.Context, was bool, free func(string) (int64, error)) bool {
	cfg := n.config()
	left, err := free(cfg.Data)
	if err != nil {
		n.log.Error("free space not known", fault.Field(fault.SpaceUnknown), zap.Error(err))
		return was
	}
	reserve := int64(cfg.Journal.Reserve) * mib
	is := left < reserve || was && left < reserve+reserve/4
	if is == was {
		return was
	}
	c := engine.Crowded{}
	if is {
		c.Code = txn.Code([]byte(cfg.Journal.Full))
	}
	within, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	if err := n.shard.Do(within, c); err != nil {
		if ctx.Err() == nil {
			n.log.Error("the shard was not told of the free space", fault.Field(fault.SpaceUnknown), zap.Error(err))
		}
		return was
	}
	n.log.Warn("free space", zap.Int64("mib", left/mib), zap.Int("reserve_mib", cfg.Journal.Reserve), zap.Bool("refusing", is))
	return is
}
