package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tongka/admin"
	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/ledger"
	"tongka/clearing/reserve"
	clearrun "tongka/clearing/run"
)

// reserveCmd is the ledger of reserve accounts.
type reserveCmd struct {
	Begin      reserveBeginCmd     `cmd:"" help:"建立账本，自某营业日起 · make the ledger, from a business day on"`
	List       reserveListCmd      `cmd:"" help:"账户与余额；低于预警则退出码 1 · accounts and balances; exit code 1 when one is below its warning"`
	Open       reserveOpenCmd      `cmd:"" help:"提议开户，须另一人确认 · propose to open an account; another person confirms, as all below"`
	Limits     reserveLimitsCmd    `cmd:"" help:"提议改限额 · propose other limits"`
	Deposit    reserveDepositCmd   `cmd:"" help:"提议存入 · propose a deposit"`
	Withdraw   reserveWithdrawCmd  `cmd:"" help:"提议取出 · propose a withdrawal"`
	Adjust     reserveAdjustCmd    `cmd:"" help:"提议调整 · propose an adjustment"`
	Close      reserveCloseCmd     `cmd:"" help:"提议销户，余额须为零 · propose to close an account, whose balance has to be zero"`
	Proposals  reserveProposalsCmd `cmd:"" help:"等待确认的提议 · proposals that wait"`
	Confirm    reserveConfirmCmd   `cmd:"" help:"确认他人的提议 · confirm another person's proposal"`
	Reject     reserveRejectCmd    `cmd:"" help:"撤回或驳回提议 · take a proposal away"`
	Night      reserveNightCmd     `cmd:"" help:"日终：记入清算、证明等式、签名（clear run 关闭后自动进行）· book a cleared day, prove and sign it; clear run does it when it has closed the day"`
	Statements reserveStatementCmd `cmd:"" help:"对账单 · statements"`
	Verify     reserveVerifyCmd    `cmd:"" help:"校验历史链、每日等式与签名 · verify the history, each day's equation and the signatures"`
}

// reserveFlags say which ledger, and which key signs.
type reserveFlags struct {
	clerkFlags
	Key string `placeholder:"FILE" help:"签名密钥：Ed25519 PEM，或 32 字节十六进制（HMAC）；缺省为清分目录下 reserve.key，无则新建 · signing key: Ed25519 in PEM, or 32 bytes in hex for an HMAC; reserve.key in the clearing's folder, made when missing"`
}

func (c *clerk) ledgerDir() string     { return filepath.Join(c.dir, "ledger") }
func (c *clerk) statementsDir() string { return filepath.Join(c.dir, "statements") }

func (c *clerk) ledger(ctx context.Context) (*ledger.Ledger, error) {
	return waiting(ctx, func() (*ledger.Ledger, error) { return ledger.Open(c.ledgerDir()) })
}

func (f *reserveFlags) withLedger(s *streams, do func(*clerk, *ledger.Ledger) error) (err error) {
	c, err := f.clerk()
	if err != nil {
		return err
	}
	l, err := c.ledger(s.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return do(c, l)
}

func (f *reserveFlags) keyFile(c *clerk) string {
	if f.Key != "" {
		return f.Key
	}
	return filepath.Join(c.dir, "reserve.key")
}

type reserveBeginCmd struct {
	reserveFlags
	Date string `required:"" placeholder:"YYYYMMDD" help:"首个营业日：下一个要清算的一日 · the first business day: the next to be cleared"`
}

// Run begins.
func (c *reserveBeginCmd) Run(s *streams) error {
	date, err := day.ParseDate(c.Date)
	if err != nil {
		return fmt.Errorf("--date: %w", err)
	}
	return c.withLedger(s, func(k *clerk, l *ledger.Ledger) error {
		closed, err := k.closedDays()
		if err == nil && len(closed) > 0 && date <= closed[len(closed)-1] {
			err = fmt.Errorf("%s 已清算 · has been cleared already", date)
		}
		if err != nil {
			return err
		}
		if err := l.Begin(date, k.who); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "账本自 %s 起 · the ledger begins with %s\n", date, date)
		return nil
	})
}

type reserveListCmd struct{ reserveFlags }

// Run lists. Below its warning an account is an early warning.
func (c *reserveListCmd) Run(s *streams) error {
	return c.withLedger(s, func(_ *clerk, l *ledger.Ledger) error {
		if l.Date() == 0 {
			return ledger.ErrNew
		}
		low := false
		for _, a := range l.Accounts() {
			low = low || a.Low()
			if c.JSON {
				if err := writeLine(s.out, a); err != nil {
					return err
				}
				continue
			}
			note := ""
			if a.Low() {
				note = "  低于预警 · BELOW ITS WARNING"
			}
			fmt.Fprintf(s.out, "%-24s 余额 · balance %14s 下限 · floor %s 预警 · warning %s%s\n", a.Name, yuan(a.Balance), yuan(a.Floor), yuan(a.Warn), note)
		}
		if !c.JSON {
			fmt.Fprintf(s.out, "当前营业日 · open day %s\n", l.Date())
		}
		if low {
			return errShown
		}
		return nil
	})
}

// yuan writes fen as people read money.
func yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	return fmt.Sprintf("%s%d.%02d", sign, fen/100, fen%100)
}

// reserveOrder is what every order has.
type reserveOrder struct {
	reserveFlags
	Account string `arg:"" help:"账户名：机构为 issuer:线路、merchant:商户号，卡基金为 fund · account: issuer:LINK or merchant:NUMBER of an institution, fund of the card fund"`
	Why     string `required:"" help:"依据，记入审计 · why, for the audit file"`
}

func (c *reserveOrder) propose(s *streams, o ledger.Order) error {
	o.Account, o.Why = c.Account, c.Why
	return c.withLedger(s, func(k *clerk, l *ledger.Ledger) error {
		o.By = k.who
		number, err := l.Propose(o)
		if err != nil {
			return err
		}
		if err := k.note(s.ctx, admin.Note{Action: "reserve-" + o.Do + "-proposed", What: fmt.Sprintf("%d: %s %d fen", number, o.Account, o.Fen), Why: o.Why, After: headOf(l.Head())}); err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(s.out, map[string]any{"number": number})
		}
		fmt.Fprintf(s.out, "提议 %d 等待另一人确认：switch reserve confirm %d · proposal %d waits for another person\n", number, number, number)
		return nil
	})
}

type (
	reserveOpenCmd struct {
		reserveOrder
		reserveCaps
	}
	reserveLimitsCmd struct {
		reserveOrder
		reserveCaps
	}
	reserveDepositCmd struct {
		reserveOrder
		Fen int64 `arg:"" help:"金额，分 · fen"`
	}
	reserveWithdrawCmd struct {
		reserveOrder
		Fen int64 `arg:"" help:"金额，分 · fen"`
	}
	reserveAdjustCmd struct {
		reserveOrder
		Fen     string `arg:"" help:"金额，分，可为负（-- -5）· fen, may be negative (-- -5)"`
		Against string `help:"对方账户，缺省为账本之外 · the other account; the world when left out"`
	}
	reserveCloseCmd struct{ reserveOrder }
)

// reserveCaps are an account's limits.
type reserveCaps struct {
	Floor int64 `help:"下限，分，0 或负（净借记限额）· floor, fen, 0 or below: the net debit cap"`
	Warn  int64 `help:"预警，分 · early warning, fen"`
}

// Run proposes.
func (c *reserveOpenCmd) Run(s *streams) error {
	return c.propose(s, ledger.Order{Do: ledger.OpenAccount, Floor: c.Floor, Warn: c.Warn})
}

// Run proposes.
func (c *reserveLimitsCmd) Run(s *streams) error {
	return c.propose(s, ledger.Order{Do: ledger.SetLimits, Floor: c.Floor, Warn: c.Warn})
}

// Run proposes.
func (c *reserveDepositCmd) Run(s *streams) error {
	return c.propose(s, ledger.Order{Do: ledger.Deposit, Fen: c.Fen})
}

// Run proposes.
func (c *reserveWithdrawCmd) Run(s *streams) error {
	return c.propose(s, ledger.Order{Do: ledger.Withdraw, Fen: c.Fen})
}

// Run proposes.
func (c *reserveAdjustCmd) Run(s *streams) error {
	fen, err := strconv.ParseInt(c.Fen, 10, 64)
	if err != nil {
		return fmt.Errorf("金额 %q 须为整数（分）· %q is no amount in fen", c.Fen, c.Fen)
	}
	return c.propose(s, ledger.Order{Do: ledger.Adjust, Fen: fen, Against: c.Against})
}

// Run proposes.
func (c *reserveCloseCmd) Run(s *streams) error {
	return c.propose(s, ledger.Order{Do: ledger.CloseAccount})
}

type reserveProposalsCmd struct{ reserveFlags }

// Run lists.
func (c *reserveProposalsCmd) Run(s *streams) error {
	return c.withLedger(s, func(_ *clerk, l *ledger.Ledger) error {
		for _, p := range l.Waiting() {
			if c.JSON {
				if err := writeLine(s.out, p); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(s.out, "%d  %s %s %d 分 · fen  下限 · floor %d 预警 · warning %d  %s  %s\n", p.Number, p.Do, p.Account, p.Fen, p.Floor, p.Warn, whoIs(&p.By), p.Why)
		}
		return nil
	})
}

type reserveConfirmCmd struct {
	reserveFlags
	Number uint64 `arg:"" help:"提议号 · number of the proposal"`
}

// Run confirms.
func (c *reserveConfirmCmd) Run(s *streams) error {
	return c.withLedger(s, func(k *clerk, l *ledger.Ledger) error {
		p, warn, err := l.Confirm(c.Number, k.who)
		if err != nil {
			return err
		}
		if err := k.note(s.ctx, admin.Note{Action: "reserve-" + p.Do, What: fmt.Sprintf("%d: %s %d fen", p.Number, p.Account, p.Fen), Why: p.Why, After: headOf(l.Head())}); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "已执行 · done: %s %s %d 分 · fen\n", p.Do, p.Account, p.Fen)
		if warn {
			fmt.Fprintf(s.err, "账户 %s 低于预警 · account %s is below its warning\n", p.Account, p.Account)
		}
		return nil
	})
}

type reserveRejectCmd struct {
	reserveFlags
	Number uint64 `arg:"" help:"提议号 · number of the proposal"`
}

// Run rejects.
func (c *reserveRejectCmd) Run(s *streams) error {
	return c.withLedger(s, func(k *clerk, l *ledger.Ledger) error {
		if err := l.Reject(c.Number, k.who); err != nil {
			return err
		}
		fmt.Fprintln(s.out, "已撤回 · taken away")
		return nil
	})
}

type reserveNightCmd struct {
	reserveFlags
	Date string `placeholder:"YYYYMMDD" help:"只到此日，缺省为全部已清算之日 · up to this day; all that are cleared when left out"`
}

// Run books what is cleared.
func (c *reserveNightCmd) Run(s *streams) error {
	last := day.Date(0)
	if c.Date != "" {
		var err error
		if last, err = day.ParseDate(c.Date); err != nil {
			return fmt.Errorf("--date: %w", err)
		}
	}
	return c.withLedger(s, func(k *clerk, l *ledger.Ledger) error {
		if l.Date() == 0 {
			return ledger.ErrNew
		}
		if err := k.nights(l, c.keyFile(k), last); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "当前营业日 · open day %s，对账单 · statements %s\n", l.Date(), k.statementsDir())
		return nil
	})
}

// nights books every closed day that the ledger does not have, and publishes the
// statements that are not there: a crash between the two is mended by the next call.
func (c *clerk) nights(l *ledger.Ledger, keyFile string, last day.Date) error {
	all, err := c.closedDays()
	if err != nil {
		return err
	}
	for _, date := range all {
		if date < l.Date() || last != 0 && date > last {
			continue
		}
		name := filepath.Join(c.dir, "days", date.String(), clearrun.EntriesFile)
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		_, err = l.Night(date, name, f, c.who)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", date, err)
		}
	}
	key, err := ledger.LoadKey(keyFile, true)
	if err != nil {
		return err
	}
	return l.Statements(func(st *ledger.Statement) error {
		name := filepath.Join(c.statementsDir(), st.Date.String()+".json")
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		signed, err := key.Sign(st)
		if err != nil {
			return err
		}
		b, err := json.MarshalIndent(signed, "", "  ")
		return errors.Join(err, replaceFile(name, append(b, '\n')))
	})
}

type reserveStatementCmd struct {
	reserveFlags
	Account string `help:"账户 · account"`
	From    string `placeholder:"YYYYMMDD" help:"自 · from"`
	To      string `placeholder:"YYYYMMDD" help:"至（含）· to, with it"`
}

// Run shows statements, as CSV or JSON lines.
func (c *reserveStatementCmd) Run(s *streams) error {
	var from, to day.Date
	for _, d := range []struct {
		text string
		to   *day.Date
	}{{c.From, &from}, {c.To, &to}} {
		if d.text != "" {
			var err error
			if *d.to, err = day.ParseDate(d.text); err != nil {
				return err
			}
		}
	}
	return c.withLedger(s, func(_ *clerk, l *ledger.Ledger) error {
		if !c.JSON {
			fmt.Fprintln(s.out, "date,account,opening_fen,deposit_fen,withdraw_fen,load_fen,consume_fen,refund_fen,adjusted_fen,closing_fen,below_warning")
		}
		return l.Statements(func(st *ledger.Statement) error {
			if st.Date < from || to != 0 && st.Date > to {
				return nil
			}
			for i := range st.Accounts {
				if a := &st.Accounts[i]; c.Account == "" || a.Account == c.Account {
					if err := c.print(s, a); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

func (c *reserveStatementCmd) print(s *streams, a *reserve.Statement) error {
	if c.JSON {
		return writeLine(s.out, a)
	}
	_, err := fmt.Fprintf(s.out, "%s,%s,%d,%d,%d,%d,%d,%d,%d,%d,%t\n", a.Date, a.Account, a.Opening, a.Deposit, a.Withdraw, a.Load, a.Consume, a.Refund, a.Adjusted, a.Closing, a.Warn)
	return err
}

type reserveVerifyCmd struct{ reserveFlags }

// Run verifies the history and every published statement.
func (c *reserveVerifyCmd) Run(s *streams) error {
	return c.withLedger(s, func(k *clerk, l *ledger.Ledger) error {
		days, err := l.Verify()
		if err != nil {
			return err
		}
		key, err := ledger.LoadKey(c.keyFile(k), false)
		if err != nil && days > 0 {
			return err
		}
		err = l.Statements(func(st *ledger.Statement) error {
			name := filepath.Join(k.statementsDir(), st.Date.String()+".json")
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			got, err := key.Check(b)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			want, err1 := json.Marshal(st)
			is, err2 := json.Marshal(got)
			if err := errors.Join(err1, err2); err != nil || string(want) != string(is) {
				return errors.Join(err, fmt.Errorf("%s: 与账本不符 · it is not what the ledger has", name))
			}
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "账本完整：%d 日，等式与签名成立，末尾 %s · the ledger holds: %d days, equations and signatures\n", days, headOf(l.Head()), days)
		return nil
	})
}

// caps says what parties with an account may lose with a day that is frozen now.
func (c *clerk) caps(s *streams, date day.Date) (free map[string]int64, err error) {
	if _, err := os.Stat(c.ledgerDir()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	l, err := c.ledger(s.ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	// A day that was closed and not booked is booked first.
	if l.Date() != 0 {
		if err := c.nights(l, filepath.Join(c.dir, "reserve.key"), 0); err != nil {
			return nil, err
		}
	}
	free, err = l.Freeze(date, c.who)
	for name := range free {
		if !strings.Contains(name, ":") && name != fee.Fund.String() { // no party of a day
			delete(free, name)
		}
	}
	return free, err
}

// night books the day that was just closed, where there is a ledger.
func (c *clerk) night(s *streams) (err error) {
	if _, err := os.Stat(c.ledgerDir()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	l, err := c.ledger(s.ctx)
	if err != nil || l.Date() == 0 {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
		return err
	}
	return errors.Join(c.nights(l, filepath.Join(c.dir, "reserve.key"), 0), l.Close())
}
