package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tongka/admin"
	"tongka/clearing/casefile"
	"tongka/clearing/day"
	"tongka/clearing/dispute"
	clearrun "tongka/clearing/run"
	"tongka/txn"
)

// disputeRaiseCmd makes a case by hand.
type disputeRaiseCmd struct {
	clerkFlags
	Date     string `required:"" placeholder:"YYYYMMDD" help:"所属营业日 · the business day"`
	Why      string `required:"" help:"缘由 · why"`
	Class    string `default:"amount-differs" help:"差异类别 · class"`
	Link     uint16 `help:"线路号 · number of the link"`
	RRN      string `name:"rrn" help:"检索参考号，12 位 · retrieval reference number, 12 digits"`
	Merchant string `help:"商户号 · merchant"`
	Kind     string `default:"sale" help:"交易种类 · kind"`
	Fen      int64  `required:"" help:"所涉金额，分 · what it is about, fen"`
	Txn      uint64 `help:"我方流水号 · our transaction, for its trace"`
}

// Run raises it.
func (c *disputeRaiseCmd) Run(s *streams) error {
	date, err := day.ParseDate(c.Date)
	if err != nil {
		return fmt.Errorf("--date: %w", err)
	}
	if _, ok := txn.ParseKind(c.Kind); !ok {
		return fmt.Errorf("--kind: 没有种类 %q · no kind %q", c.Kind, c.Kind)
	}
	if c.Fen <= 0 || len(c.Merchant) > 15 || c.RRN != "" && (len(c.RRN) != 12 || strings.Trim(c.RRN, "0123456789") != "") {
		return errors.New("--fen 须为正，--rrn 为 12 位数字，--merchant 至多 15 位 · --fen above 0, --rrn of 12 digits, --merchant of 15 at most")
	}
	e := casefile.Event{Class: c.Class, ReasonZH: "人工登记", ReasonEN: "raised by hand", Link: c.Link, RRN: c.RRN, Merchant: c.Merchant, Fen: c.Fen,
		Ours: &casefile.Side{Amount: c.Fen, Net: c.Fen, Kind: c.Kind, Status: "settled", Txn: c.Txn}}
	return c.withDesk(s, func(k *clerk, d *dispute.Desk) error {
		made, err := d.Raise(e, date, c.Why, k.who)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(s.out, made)
		}
		fmt.Fprintf(s.out, "已登记 · raised: %s，期限 · due %s\n", made.Event.Case, made.Due)
		return nil
	})
}

// disputeEvidenceCmd lays evidence to a case.
type disputeEvidenceCmd struct {
	clerkFlags
	Case  string `arg:"" help:"差错号 · the case"`
	Trace bool   `help:"附其交易的追踪（卡号遮掩）· the trace of its transaction, masked"`
	File  string `type:"existingfile" placeholder:"FILE" help:"附文件的名称、大小与摘要 · a file's name, size and digest"`
	Note  string `help:"附说明 · a note"`
}

// Run lays it.
func (c *disputeEvidenceCmd) Run(s *streams) error {
	if !c.Trace && c.File == "" && strings.TrimSpace(c.Note) == "" {
		return errors.New("须给 --trace、--file 或 --note · one of --trace, --file, --note is wanted")
	}
	return c.withDesk(s, func(k *clerk, d *dispute.Desk) error {
		is, err := d.Get(c.Case)
		if err != nil {
			return err
		}
		var all []dispute.Evidence
		if c.Trace {
			ev, err := c.trace(s, is)
			if err != nil {
				return err
			}
			all = append(all, ev)
		}
		if c.File != "" {
			sum, size, err := digestOf(c.File)
			if err != nil {
				return err
			}
			all = append(all, dispute.Evidence{Kind: "file", Text: filepath.Base(c.File), SHA256: sum, Size: size})
		}
		if c.Note != "" {
			all = append(all, dispute.Evidence{Kind: "note", Text: c.Note})
		}
		for _, ev := range all {
			if err := d.Lay(c.Case, ev, k.who); err != nil {
				return err
			}
		}
		fmt.Fprintf(s.out, "已附 %d 件 · laid to the case: %d\n", len(all), len(all))
		return nil
	})
}

func (c *disputeEvidenceCmd) trace(s *streams, is *dispute.Case) (dispute.Evidence, error) {
	q := admin.StoryQuery{RRN: is.RRN}
	if is.Ours != nil && is.Ours.Txn != 0 {
		q = admin.StoryQuery{ID: is.Ours.Txn}
	}
	f := journalFlags{Config: c.Config}
	story, err := f.story(s.ctx, &q, "dispute evidence "+c.Case)
	if err != nil {
		return dispute.Evidence{}, err
	}
	b, err := json.Marshal(story)
	return dispute.Evidence{Kind: "trace", Text: fmt.Sprintf("switch journal show %d", story.Row.ID), Trace: b}, err
}

func digestOf(name string) (sum string, size int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// disputeDecideCmd proposes.
type disputeDecideCmd struct {
	clerkFlags
	Case  string   `arg:"" optional:"" help:"差错号 · the case"`
	Act   string   `arg:"" optional:"" name:"act" help:"hold 挂起, ignore 忽略, book 补账, refund 退款, adjust 调账 · hold, ignore, book, refund, adjust"`
	Why   string   `help:"依据 · why"`
	Fen   int64    `help:"金额，分；book、refund 缺省为差错本身的金额 · fen; of book and refund the case's own figure when left out"`
	Until string   `placeholder:"YYYYMMDD" help:"挂至 · of hold: until"`
	Move  []string `placeholder:"FROM=TO=FEN" help:"划转，可多次，如 issuer:0=merchant:104…=700 · a move, may be repeated"`
	CSV   string   `name:"csv" type:"existingfile" placeholder:"FILE" help:"批量：列 case,act,why[,fen][,until][,moves]；全部或全不 · many at once; all of them or none"`
}

// Run proposes one or many.
func (c *disputeDecideCmd) Run(s *streams) error {
	orders, err := c.orders()
	if err != nil {
		return err
	}
	return c.withDesk(s, func(k *clerk, d *dispute.Desk) error {
		number, err := d.Propose(orders, k.who)
		if err != nil {
			return err
		}
		if err := k.note(s.ctx, admin.Note{Action: "dispute-proposed", What: fmt.Sprintf("%d: %d cases", number, len(orders)), After: headOf(d.Head())}); err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(s.out, map[string]any{"number": number, "cases": len(orders)})
		}
		fmt.Fprintf(s.out, "提议 %d（%d 个差错）等待另一人确认：switch dispute confirm %d · proposal %d waits for another person\n", number, len(orders), number, number)
		return nil
	})
}

func (c *disputeDecideCmd) orders() ([]dispute.Order, error) {
	if c.CSV != "" {
		if c.Case != "" || c.Why != "" || c.Fen != 0 || c.Until != "" || len(c.Move) > 0 {
			return nil, errors.New("--csv 不与其他参数同用 · --csv goes alone")
		}
		return readOrders(c.CSV)
	}
	if c.Case == "" || c.Act == "" {
		return nil, errors.New("须给差错号与处理，或 --csv · a case and an act, or --csv, are wanted")
	}
	o, err := orderOf(c.Case, c.Act, c.Why, fmt.Sprint(c.Fen), c.Until, strings.Join(c.Move, ";"))
	return []dispute.Order{o}, err
}

// orderOf reads the words of one order.
func orderOf(id, act, why, fen, until, moves string) (o dispute.Order, err error) {
	o = dispute.Order{Case: id, Act: act, Why: why}
	if fen != "" {
		if o.Fen, err = strconv.ParseInt(fen, 10, 64); err != nil || o.Fen < 0 {
			return o, fmt.Errorf("fen %q 须为不小于 0 的整数（分）· fen %q: a whole number from 0", fen, fen)
		}
	}
	if until != "" {
		if o.Until, err = day.ParseDate(until); err != nil {
			return o, err
		}
	}
	for _, m := range strings.Split(moves, ";") {
		if m == "" {
			continue
		}
		part := strings.Split(m, "=")
		if len(part) != 3 {
			return o, fmt.Errorf("划转 %q 须为 FROM=TO=FEN · move %q: wanted FROM=TO=FEN", m, m)
		}
		n, err := strconv.ParseInt(part[2], 10, 64)
		if err != nil || n <= 0 {
			return o, fmt.Errorf("划转 %q 的金额有误 · move %q: no amount", m, m)
		}
		o.Moves = append(o.Moves, casefile.Move{From: part[0], To: part[1], Fen: n})
	}
	return o, nil
}

// maxBulk is how many lines one file may have.
const maxBulk = 100_000

var bulkColumns = []string{"case", "act", "why", "fen", "until", "moves"}

// readOrders reads a file of decisions. Every fault is named with its line.
func readOrders(name string) (all []dispute.Order, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	at := map[string]int{}
	for i, h := range head {
		if _, twice := at[h]; twice || !slices.Contains(bulkColumns, h) {
			return nil, fmt.Errorf("%s:1: 列 %q 未知或重复 · column %q is unknown or stands twice (%s)", name, h, h, strings.Join(bulkColumns, ", "))
		}
		at[h] = i
	}
	for _, h := range bulkColumns[:3] {
		if _, ok := at[h]; !ok {
			return nil, fmt.Errorf("%s:1: 缺少列 %s · column %s is missing", name, h, h)
		}
	}
	var faults []error
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		cell := func(h string) string {
			if i, ok := at[h]; ok {
				return row[i]
			}
			return ""
		}
		line, _ := r.FieldPos(0)
		o, err := orderOf(cell("case"), cell("act"), cell("why"), cell("fen"), cell("until"), cell("moves"))
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", name, line, err))
		}
		if all = append(all, o); len(all) > maxBulk {
			return nil, fmt.Errorf("%s:%d: 超过 %d 行 · more than %d lines", name, line, maxBulk, maxBulk)
		}
	}
	return all, errors.Join(faults...)
}

// disputeProposalsCmd lists what waits.
type disputeProposalsCmd struct{ clerkFlags }

// Run lists.
func (c *disputeProposalsCmd) Run(s *streams) error {
	return c.withDesk(s, func(_ *clerk, d *dispute.Desk) error {
		return d.Proposals(func(number uint64, cases []*dispute.Case) error {
			if c.JSON {
				return writeLine(s.out, map[string]any{"number": number, "cases": cases})
			}
			fmt.Fprintf(s.out, "提议 · proposal %d: %d 个差错 · cases\n", number, len(cases))
			for _, k := range cases {
				fmt.Fprintf(s.out, "  %s\n", k.Event.Case)
				printProposal(s.out, k.Proposal)
			}
			return nil
		})
	})
}

// disputeConfirmCmd confirms.
type disputeConfirmCmd struct {
	clerkFlags
	Number uint64 `arg:"" help:"提议号 · number of the proposal"`
}

// Run confirms.
func (c *disputeConfirmCmd) Run(s *streams) error {
	return c.withDesk(s, func(k *clerk, d *dispute.Desk) error {
		cases, err := d.Confirm(c.Number, k.who)
		if err != nil {
			return err
		}
		if err := k.note(s.ctx, admin.Note{Action: "dispute-confirmed", What: fmt.Sprintf("%d: %d cases", c.Number, len(cases)), After: headOf(d.Head())}); err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(s.out, cases)
		}
		fmt.Fprintf(s.out, "已确认 %d 个差错，计入下一个登记的清算日 · %d cases confirmed, they count with the next day that is cleared\n", len(cases), len(cases))
		return nil
	})
}

// disputeWithdrawCmd takes back.
type disputeWithdrawCmd struct {
	clerkFlags
	Number uint64 `arg:"" help:"提议号 · number of the proposal"`
	Why    string `required:"" help:"原因 · why"`
}

// Run takes back.
func (c *disputeWithdrawCmd) Run(s *streams) error {
	return c.withDesk(s, func(k *clerk, d *dispute.Desk) error {
		if err := d.Withdraw(c.Number, c.Why, k.who); err != nil {
			return err
		}
		fmt.Fprintln(s.out, "已撤回 · taken back")
		return nil
	})
}

// decide has the desk write what counts with a day, before the run freezes it. A house
// that has no desk decides by files.
func (c *clerk) decide(s *streams, date day.Date) (err error) {
	if _, err := os.Stat(c.deskDir()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	d, err := c.desk(s.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := c.takeIn(d); err != nil {
		return err
	}
	var b bytes.Buffer
	if n, err := d.Bind(date, &b, c.who); err != nil || n == 0 {
		return err
	}
	return replaceFile(clearrun.DecisionsFile(c.dir, date), b.Bytes())
}

// after is what the desks do once a day is closed. It may be done again.
func (c *clerk) after(s *streams, sum *clearrun.Summary) (err error) {
	if !sum.Closed {
		return nil
	}
	d, err := c.desk(s.ctx)
	if err != nil {
		return err
	}
	return errors.Join(c.takeIn(d), d.Close(), c.night(s))
}

// replaceFile writes a file by a rename, durably.
func replaceFile(name string, b []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // what a crash leaves is written over
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
