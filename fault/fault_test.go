package fault

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TestTheTableIsWhole: in order, no code twice, and words and hints in both
// languages.
func TestTheTableIsWhole(t *testing.T) {
	last := Code(0)
	for _, f := range All() {
		if f.Code <= last {
			t.Errorf("%v stands behind %v", f.Code, last)
		}
		last = f.Code
		for _, zh := range []string{f.ZH, f.HintZH} {
			if !strings.ContainsFunc(zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%v: %q is no Chinese", f.Code, zh)
			}
		}
		for _, en := range []string{f.EN, f.HintEN} {
			if en == "" || strings.ContainsFunc(en, func(r rune) bool { return r > unicode.MaxASCII }) {
				t.Errorf("%v: %q is no English", f.Code, en)
			}
		}
		if n := f.Code / 1000; n < 1 || n > 6 {
			t.Errorf("%v is in no group", f.Code)
		}
	}
}

func TestFind(t *testing.T) {
	for _, word := range []string{"TK-1001", "tk-1001", "TK1001", "1001", " tk1001\n"} {
		if f, ok := Find(word); !ok || f.Code != JournalFailed || !f.Alarm {
			t.Errorf("%q: %+v %v", word, f, ok)
		}
	}
	for _, word := range []string{"", "TK-", "TK-100", "TK-10010", "TK-9999", "-1001x", "TK--1001", "0x3e9", "+1001", "１００１", strings.Repeat("9", 1<<16)} {
		if f, ok := Find(word); ok {
			t.Errorf("%q is %v", word, f.Code)
		}
	}
}

// TestWatchCountsWhatIsLogged: also what the level and the sampling keep out of
// the log, and from any goroutine; nothing else.
func TestWatchCountsWhatIsLogged(t *testing.T) {
	var b Book
	sampled := zapcore.NewSamplerWithOptions(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(discard{}), zap.ErrorLevel), 1e9, 1, 0)
	log := b.Watch(zap.New(sampled)).With(zap.String("node", "a"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 250 {
				log.Warn("link", Field(LinkUnreachable))
			}
		})
	}
	all.Wait()
	log.Error("store", zap.String("fault", "TK-1001"), zap.Stringer("other", JournalUnread))
	log.Info("fine", Field(JournalUnread))
	b.Count(Code(7))
	b.Add(AcceptFailed, 0)
	b.Count(NoSlot)
	seen := b.Seen()
	if len(seen) != 2 || seen[0].Code != NoSlot || seen[0].Count != 1 || seen[1].Code != LinkUnreachable || seen[1].Count != 1000 || seen[1].Last == 0 {
		t.Errorf("%+v", seen)
	}
	if b.Of(LinkUnreachable) != 1000 || b.Of(Code(7)) != 0 {
		t.Error(b.Of(LinkUnreachable))
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func TestNoBook(t *testing.T) {
	var b *Book
	b.Count(JournalFailed)
	if b.Seen() != nil || b.Of(JournalFailed) != 0 {
		t.Error("nobody counted, and it is counted")
	}
}

// TestCountingTakesNoMemory: a flood of refused frames is counted one by one.
func TestCountingTakesNoMemory(t *testing.T) {
	var b Book
	if n := testing.AllocsPerRun(100, func() { b.Count(FrameRefused) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBecause(t *testing.T) {
	err := Because(JournalFailed, fs.ErrPermission)
	if err.Error() != "TK-1001: permission denied" || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if Because(JournalFailed, nil) != nil {
		t.Error("nothing has a code")
	}
}
