package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tongka/node"
	"tongka/offline"
	"tongka/sim/internal/aid"
	simoffline "tongka/sim/offline"
	"tongka/txn"
)

// What is uploaded: records, the last of them with a wrong TAC.
const (
	uploaded    = 8
	uploadWaits = time.Minute // for the switch to have made a file of them
)

// uploads: purchases that buses took without a line, in messages and in a file.
func (t *till) uploads(ctx context.Context) {
	before, err := t.taken(ctx, false)
	if err != nil {
		t.err = err
		return
	}
	// Another seed in each life on one folder: nothing is a duplicate of an older one.
	m, err := simoffline.NewMaker("bus-64", uint64(len(before))+1)
	if err != nil {
		t.err = err
		return
	}
	wrong := make([]simoffline.Wrong, uploaded)
	wrong[uploaded-1] = simoffline.TAC
	records, sum, err := m.File(wrong)
	if err != nil {
		t.err = err
		return
	}
	t.did(txn.BatchUpload, t.day.Offline(ctx, records, int64(sum)), txn.Code{}, fmt.Sprintf("脱机记录报文上送（0320/36）：%d 笔", uploaded),
		fmt.Sprintf("offline records in a message (0320/36): %d", uploaded))
	t.did(txn.BatchUpload, t.day.Offline(ctx, records, int64(sum)), txn.Duplicate, "同一批记录再次上送：重复", "the same records once more: duplicates")
	if t.err != nil {
		return
	}
	files, err := t.until(ctx, len(before)+1)
	if err == nil && (files[len(files)-1].States["T"] != uploaded-1 || files[len(files)-1].States["U"] != 1) {
		err = fmt.Errorf("offline records in messages: states %v", files[len(files)-1].States)
	}
	t.did(txn.BatchUpload, err, txn.Code{}, "入库并验 TAC：7 笔正确，1 笔 TAC 错误", "in the store, TACs verified: 7 right, 1 wrong")
	if t.err == nil {
		err = t.file(ctx, len(files))
		t.did(txn.BatchUpload, err, txn.Code{}, "脱机文件导入：zip、md5、pkg 核对，3 笔验 TAC", "a file of offline records: zip, md5 and pkg checked, 3 TACs verified")
	}
}

// until waits for the switch to have so many files in the store, all done.
func (t *till) until(ctx context.Context, want int) ([]*offline.File, error) {
	ctx, cancel := context.WithTimeout(ctx, uploadWaits)
	defer cancel()
	for {
		files, err := t.taken(ctx, true)
		if err != nil || len(files) >= want {
			return files, err
		}
		if !aid.Pause(ctx, aid.FirstPause) {
			return nil, fmt.Errorf("offline records of messages are not in their store after %v", uploadWaits)
		}
	}
}

// taken gives the files of the store: with done those that have come to their end. The
// switch may be at it, and is waited for.
func (t *till) taken(ctx context.Context, done bool) (files []*offline.File, err error) {
	for {
		s, end, err := node.OpenOffline(t.cfg, false)
		if err == nil {
			files, err = s.Files()
			err = errors.Join(err, end())
			for i := len(files) - 1; done && i >= 0; i-- {
				if files[i].Stage != offline.Done {
					files = append(files[:i], files[i+1:]...)
				}
			}
			return files, err
		}
		if !aid.Pause(ctx, aid.FirstPause) {
			return nil, err
		}
	}
}

// file takes in a package, as switch offline import does.
func (t *till) file(ctx context.Context, n int) (err error) {
	m, err := simoffline.NewMaker("dongguan", uint64(n)+1)
	if err != nil {
		return err
	}
	const records = 3
	member, _, err := m.File(make([]simoffline.Wrong, records))
	if err != nil {
		return err
	}
	zip, digest, list, err := simoffline.Package([]string{"bus.csv"}, [][]byte{member}, []int{records})
	if err != nil {
		return err
	}
	s, end, err := node.OpenOffline(t.cfg, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	f, err := s.Import(ctx, &offline.Source{Name: fmt.Sprintf("demo-%d.zip", n), MD5: digest, List: list, Format: m.Format,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(zip)), nil }}, nil)
	if err == nil && f.States["T"] != records {
		err = fmt.Errorf("a file of offline records: states %v, faults %v", f.States, f.Faults)
	}
	return err
}
