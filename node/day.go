package node

import (
	"fmt"
	"os"

	"tongka/config"
	"tongka/engine"
	"tongka/router"
)

// maxDownload is the size in bytes of what one download may hold.
const maxDownload = 16 << 20

// Day makes what the shard is told of terminals' days, with the files that they
// load read into memory.
func Day(cfg *config.Config) (engine.Day, error) {
	in := &cfg.Day
	d := engine.Day{CountVoided: in.CountVoided, ShortMAK: groups(in.ShortMAKGroups)}
	if len(in.Signals) == 3 {
		d.Signals = engine.Signals{None: in.Signals[0], Last: in.Signals[1], More: in.Signals[2]}
	}
	for _, s := range in.ForeignBINs {
		r, err := router.ParseRange(s)
		if err != nil {
			return d, fmt.Errorf("day.foreign_bins: %w", err)
		}
		d.Foreign = append(d.Foreign, r)
	}
	for i := range in.Downloads {
		l := &in.Downloads[i]
		data, err := download(l.File)
		if err != nil {
			return d, fmt.Errorf("day.downloads[%d] 下载 · download: %w", i, err)
		}
		d.Downloads = append(d.Downloads, engine.Download{Code: l.Code, Version: l.Version, Groups: groups(l.Groups), Data: data, Block: l.Block})
	}
	return d, nil
}

func download(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxDownload:
		return nil, fmt.Errorf("%s: 不是文件，或超过 %d 字节 · no file, or more than %d bytes", path, maxDownload, maxDownload)
	}
	return os.ReadFile(path)
}

func groups(in []int) (out []uint16) {
	for _, g := range in {
		out = append(out, uint16(g))
	}
	return out
}
