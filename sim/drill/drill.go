// Package drill pulls plugs. It starts a real switch, a bank, a security module
// a fleet of terminals and kiosks as processes of their own, kills the switch at random
// moments under load, cuts the power of its disk, and compares the books that
// terminals, kiosks and bank keep by themselves.
//
//	kill       SIGKILL: what the process had handed to the kernel stays
//	power cut  the file system takes no write any more and what was not synced is
//	           gone; the disk's image is copied as it is, and the switch starts on
//	           the copy (see image.go)
//
// Every fifth plug is pulled while the switch is still recovering from the last.
package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/sim"
	"tongka/sim/book"
	"tongka/sim/kiosk"
	"tongka/sim/port"
)

// Options say what is pulled, and how often.
type Options struct {
	Self  []string // the command that starts this program again
	Dir   string   // a folder of the caller's, empty
	Kills int
	Cuts  int // power cuts; root and loop devices are wanted for these
	Rate  int // sales a second
	Log   io.Writer
}

// Result is what the books say in the end.
type Result struct {
	Kills      int `json:"kills"`
	PowerCuts  int `json:"power_cuts"`
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
}

const (
	terminals = 40
	kiosks    = 4
	cards     = 24
	seed      = 7
	patience  = 2 * time.Minute // for anything that another process is to do
)

// drill is one run. It owns the processes.
type drill struct {
	o       *Options
	disk    disk
	bank    *child
	module  *child
	tills   *child
	kiosks  *child
	sw      *child
	ending  bool       // terminals and kiosks were told to come to their end
	ports   *port.Held // all of them listen where the configuration says, and again after each kill
	console string
	books   [3]string // of the terminals, of the bank, of the kiosks
	sold    follower
	r       Result
}

// Run pulls all the plugs and compares the books. The error says that they
// differ, or that the drill itself could not be held; the result counts what was
// done until then.
func Run(ctx context.Context, o Options) (r Result, err error) {
	runtime.LockOSThread() // the kernel kills our children when this thread ends
	defer runtime.UnlockOSThread()
	d := &drill{o: &o, books: [3]string{filepath.Join(o.Dir, "terminals.jsonl"), filepath.Join(o.Dir, "bank.jsonl"), filepath.Join(o.Dir, "kiosks.jsonl")}}
	defer func() { r, err = d.r, errors.Join(err, d.close()) }()
	if d.disk, err = newDisk(&o); err != nil {
		return r, err
	}
	if err := d.set(); err != nil {
		return r, err
	}
	if err := d.pullAll(ctx); err != nil {
		return r, err
	}
	return r, d.judge(ctx)
}

// set writes the configuration and starts everybody.
func (d *drill) set() error {
	ports, held, err := port.Hold(4)
	if err != nil {
		return err
	}
	d.ports = ports
	var addresses [4]string // terminals' door, bank, module, console
	for i := range addresses {
		addresses[i] = held[i].String()
	}
	d.console = addresses[3]
	zpk := []byte("0123456789abcdef")
	wrapped, err := soft.New(soft.TestLMK()).Wrap(hsm.ZPK, zpk)
	if err != nil {
		return err
	}
	_, csv, err := sim.Provision(terminals, seed)
	if err != nil {
		return err
	}
	_, more, err := sim.ProvisionKiosks(kiosks, seed)
	if err != nil {
		return err
	}
	csv = append(csv, more[bytes.IndexByte(more, '\n')+1:]...)
	purses, _, err := kiosk.Setup(cards, 0)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`node: {acquirer: "48023310"}
data: %q
listeners: [{name: pos, address: "%s"}]
links: [{name: bank, address: "%s", destination: "00010000", zpk: "%s", answer_timeout: 1s,
  reversal: {interval: 200ms, max_interval: 1s, answer_timeout: 1s}}]
routes: [{link: bank}]
hsm: {mode: tcp, test_lmk: true, addresses: ["%s"], connections: 2, key_connection: true, commands: [{code: UB}]}
registry: {import: t.csv}
limits: {in_flight: 1024}
console: {address: "%s"}
log: {file: switch.log}
%s`, filepath.Join(d.disk.dir(), "data"), addresses[0], addresses[1], wrapped, addresses[2], d.console, purses)
	for name, b := range map[string][]byte{"switch.yaml": []byte(text), "t.csv": csv} {
		if err := os.WriteFile(filepath.Join(d.o.Dir, name), b, 0o600); err != nil {
			return err
		}
	}
	d.bank, err = d.start("sim", "bank", "--listen", addresses[1], "--zpk", fmt.Sprintf("%x", zpk), "--books", d.books[1],
		"--delay", "5ms", "--jitter", "30ms", "--decline-rate", "0.05", "--json")
	if err != nil {
		return err
	}
	if d.module, err = d.start("sim", "hsm", "--listen", addresses[2], "--json"); err != nil {
		return err
	}
	if err := d.run(); err != nil {
		return err
	}
	if d.kiosks, err = d.start("sim", "kiosk", "--connect", addresses[0], "--count", fmt.Sprint(kiosks), "--seed", fmt.Sprint(seed), "--cards", fmt.Sprint(cards),
		"--orders", "0", "--rate", "40", "--timeout", "3s", "--books", d.books[2], "--settle", "2m", "--json"); err != nil {
		return err
	}
	d.tills, err = d.start("sim", "terminal", "--connect", addresses[0], "--count", fmt.Sprint(terminals), "--seed", fmt.Sprint(seed),
		"--rate", fmt.Sprint(d.o.Rate), "--mix", "usual", "--pin-share", "0.3", "--timeout", "3s", "--books", d.books[0], "--settle", "2m", "--json")
	d.sold.path = d.books[0]
	return err
}

// run starts the switch.
func (d *drill) run() (err error) {
	d.sw, err = d.start("run", "-c", filepath.Join(d.o.Dir, "switch.yaml"))
	return err
}

// pullAll pulls kills and power cuts in any order.
func (d *drill) pullAll(ctx context.Context) error {
	for left := [2]int{d.o.Kills, d.o.Cuts}; left[0]+left[1] > 0; {
		if rand.IntN(5) > 0 {
			if err := d.selling(ctx, 50+rand.IntN(400)); err != nil {
				return err
			}
		} else if err := pause(ctx, time.Duration(rand.IntN(300))*time.Millisecond); err != nil {
			return err // in the middle of its start, most likely
		}
		which := 0
		if rand.IntN(left[0]+left[1]) >= left[0] {
			which = 1
		}
		left[which]--
		if err := d.pull(which == 1); err != nil {
			return err
		}
		if n := d.r.Kills + d.r.PowerCuts; n%10 == 0 {
			fmt.Fprintf(d.o.Log, "强杀 kills %d · 断电 power cuts %d · 批准 approved %d\n", d.r.Kills, d.r.PowerCuts, d.sold.count)
		}
	}
	return d.selling(ctx, 50)
}

// pull pulls one plug and starts the switch again.
func (d *drill) pull(power bool) error {
	if power {
		if err := d.disk.cut(d.sw.kill); err != nil {
			return err
		}
		d.r.PowerCuts++
	} else {
		d.sw.kill()
		d.r.Kills++
	}
	return d.run()
}

// selling waits until so many more sales are approved.
func (d *drill) selling(ctx context.Context, more int) error {
	if _, err := d.sold.look(); err != nil {
		return err
	}
	want := d.sold.count + more
	return d.until(ctx, "消费未继续 · sales do not go on", func() (bool, error) {
		n, err := d.sold.look()
		return n >= want, err
	})
}

// until polls for something that other processes will do.
func (d *drill) until(ctx context.Context, what string, ok func() (bool, error)) error {
	for end := time.Now().Add(patience); ; {
		switch done, err := ok(); {
		case err != nil:
			return err
		case done:
			return nil
		case !d.ending && d.tills.gone():
			return fmt.Errorf("终端进程已退出 · the terminals' process has ended: %w", d.tills.fault())
		case !d.ending && d.kiosks.gone():
			return fmt.Errorf("自助终端进程已退出 · the kiosks' process has ended: %w", d.kiosks.fault())
		case time.Now().After(end):
			return fmt.Errorf("%s: %v\n%s", what, patience, d.sw.said())
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause is between two looks at another process.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// asker does not wait for a process that is stopped or gone.
var asker = http.Client{Timeout: 5 * time.Second}

// Owed asks a running switch, by the address of its console, what it owes and has in
// flight. The picture that it shows is made a few times a second: one from before since
// knows nothing of the last sales, and is an answer to wait for, as is none at all.
func Owed(console string, since time.Time) (n int, ok bool) {
	r, err := asker.Get("http://" + console + "/api/snapshot")
	if err != nil {
		return 0, false
	}
	defer r.Body.Close()
	var p struct {
		At       time.Time `json:"at"` // milliseconds
		InFlight *int      `json:"in_flight"`
		Owed     *int      `json:"owed"`
	}
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil || p.Owed == nil || p.InFlight == nil || !p.At.After(since) {
		return 0, false
	}
	return *p.Owed + *p.InFlight, true
}

// judge lets everybody come to an end and compares their books.
func (d *drill) judge(ctx context.Context) error {
	d.ending = true
	if err := d.tills.stop(); err != nil {
		return fmt.Errorf("终端 · terminals: %w", err)
	}
	if err := d.kiosks.stop(); err != nil {
		return fmt.Errorf("自助终端 · kiosks: %w", err)
	}
	quiet := time.Now()
	if err := d.until(ctx, "仍有未了结 · something is still owed", func() (bool, error) {
		n, ok := Owed(d.console, quiet)
		return ok && n == 0, nil
	}); err != nil {
		return err
	}
	if err := errors.Join(d.sw.stop(), d.bank.stop()); err != nil {
		return err
	}
	sales, err := book.ReadSales(d.books[0])
	if err != nil {
		return err
	}
	bookings, err := book.ReadBookings(d.books[1])
	if err != nil {
		return err
	}
	v := sim.Compare(sales, bookings)
	purses, err := book.ReadCards(d.books[2])
	if err != nil {
		return err
	}
	c := book.CompareCards(&purses, bookings)
	d.r.Lost, d.r.Duplicated = v.Lost+c.Lost, v.Duplicated+c.Duplicated
	fmt.Fprintln(d.o.Log, v.KindsLine())
	fmt.Fprintln(d.o.Log, v.String())
	fmt.Fprintln(d.o.Log, c.String())
	return errors.Join(d.disk.proved(), d.verdict(&v), d.cards(&c))
}

// cards is the error of cards that do not hold what was paid for them.
func (d *drill) cards(c *book.CardVerdict) error {
	switch {
	case !c.OK() || c.Unresolved+len(c.Parked) != 0 || c.Paid != c.OnCards:
		for _, line := range c.Says {
			fmt.Fprintln(d.o.Log, line)
		}
		return errors.New("卡账不符 · the cards differ")
	case c.Written == 0:
		return errors.New("没有一张卡写入 · no card was written")
	}
	return nil
}

// verdict is the error of books that differ, or of a drill that met nothing: the
// second would prove nothing.
func (d *drill) verdict(v *sim.Verdict) error {
	var bank sim.BankStats
	if err := json.Unmarshal(d.bank.out.Bytes(), &bank); err != nil {
		return fmt.Errorf("银行的总结 · the bank's summary: %w", err)
	}
	const kinds = 8
	switch {
	case !v.OK() || v.Unresolved != 0 || v.Net != v.NetBanks:
		for i := range v.Discrepancies {
			fmt.Fprintln(d.o.Log, v.Discrepancies[i].String())
		}
		return errors.New("账目不符 · the books differ")
	case bank.PINFaults != 0:
		return fmt.Errorf("银行解不开的 PIN %d 个 · PIN blocks that the bank could not open: %d", bank.PINFaults, bank.PINFaults)
	case bank.Reversed == 0:
		return errors.New("无一冲正：未打断任何在途交易 · nothing was reversed: nothing in flight was hit")
	case len(v.Kinds) < kinds:
		return fmt.Errorf("只出现 %d 种交易 · only %d kinds were approved", len(v.Kinds), len(v.Kinds))
	}
	return nil
}

// close ends what still runs.
func (d *drill) close() error {
	for _, c := range []*child{d.tills, d.kiosks, d.sw, d.bank, d.module} {
		if c != nil {
			c.kill()
		}
	}
	var err error
	if d.ports != nil {
		err = d.ports.Close()
	}
	if d.disk != nil {
		err = errors.Join(err, d.disk.close())
	}
	return err
}
