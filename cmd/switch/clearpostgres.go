package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tongka/clearing"
	"tongka/clearing/layouts"
	"tongka/clearing/recon"
	"tongka/clearing/row"
)

// postgresRounds are taken in turns; the median of their ratios counts.
const postgresRounds = 3

// postgresMeasure is what the comparison says. Seconds are medians.
type postgresMeasure struct {
	Rows        int64   `json:"rows"`
	Seconds     float64 `json:"seconds"` // ours: both files read, checked, reconciled and booked with fees
	Postgres    float64 `json:"postgres_seconds"`
	Ratio       float64 `json:"ratio"` // PostgreSQL's time over ours
	Differences int64   `json:"differences"`
	Version     string  `json:"postgres"`
}

// playedFiles writes the two sides of a played day as our own CSV.
func playedFiles(s *streams, dir string, rows int64) (names [2]string, planted int64, err error) {
	var w [2]*bufio.Writer
	var sum, n [2]int64
	for i, name := range []string{"ours.csv", "theirs.csv"} {
		names[i] = filepath.Join(dir, name)
		f, err := os.OpenFile(names[i], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return names, 0, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w[i] = bufio.NewWriterSize(f, 1<<20)
		fmt.Fprintln(w[i], "rrn,stan,amount,kind,status,merchant,terminal")
	}
	var line []byte
	add := func(i int) func(*row.Row) error {
		return func(r *row.Row) error {
			sum[i], n[i] = sum[i]+r.Amount, n[i]+1
			line = fmt.Appendf(line[:0], "%012d,%06d,%d,%s,%s,%s,%s\n", r.RRN, r.STAN, r.Amount, r.Kind, r.Status, r.Merchant[:], r.Terminal[:])
			_, err := w[i].Write(line)
			return err
		}
	}
	if planted, err = clearing.Play(rows, heeding(s, add(0)), add(1)); err != nil {
		return names, 0, err
	}
	for i := range w {
		fmt.Fprintf(w[i], "end,%d,%d\n", n[i], sum[i])
		if err := w[i].Flush(); err != nil {
			return names, 0, err
		}
	}
	return names, planted, nil
}

// clearFiles does with the files what a night does: every line is read and checked.
func clearFiles(names [2]string, dir string, memory int) (differences int64, err error) {
	d, err := clearing.NewDay(clearing.Options{Dir: dir, Memory: memory, Fields: row.Fields{row.ByRRN}, Fees: clearing.PlayFees()})
	if err != nil {
		return 0, err
	}
	form := &layouts.Form{Name: layouts.Own}
	var both sync.WaitGroup
	var errs [2]error
	for i, add := range []func(*row.Row) error{d.Ours, d.Theirs} {
		both.Go(func() {
			f, err := os.Open(names[i])
			if err != nil {
				errs[i] = err
				return
			}
			_, err = form.Read(f, layouts.Reading{Name: filepath.Base(names[i]), Date: 20261001, Zone: time.Local}, func(r *row.Row, _ int64) error { return add(r) })
			errs[i] = errors.Join(err, f.Close())
		})
	}
	both.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return 0, errors.Join(err, d.Close())
	}
	out, err := d.Settle(func(*recon.Result) error { return nil })
	if err != nil {
		return 0, err
	}
	return out.Differences(), nil
}

// reconcileSQL loads both files into tables that no log is kept of, and joins them.
// Their "end" lines are no rows.
const reconcileSQL = `
DROP TABLE IF EXISTS ours, theirs;
CREATE UNLOGGED TABLE ours (rrn bigint, stan int, amount bigint, kind text, status text, merchant text, terminal text);
CREATE UNLOGGED TABLE theirs (LIKE ours);
COPY ours FROM PROGRAM 'head -n -1 %s' WITH (FORMAT csv, HEADER);
COPY theirs FROM PROGRAM 'head -n -1 %s' WITH (FORMAT csv, HEADER);
SELECT count(*) FROM ours o FULL JOIN (SELECT rrn, count(*) AS n, min(amount) AS amount, min(status) AS status FROM theirs GROUP BY rrn) t USING (rrn)
WHERE o.amount IS NULL OR t.n IS NULL OR t.n > 1 OR o.amount <> t.amount OR o.status <> t.status;
`

// postgres is a server of its own, in a folder of its own, that nobody else reaches.
type postgres struct {
	bin, dir string
	as       *syscall.Credential
	server   *exec.Cmd
}

// startPostgres makes a cluster and starts it. Its settings are those of a machine that
// has nothing else to do: no sync, and memory enough for the join.
func startPostgres(ctx context.Context, bin, dir string) (p *postgres, err error) {
	p = &postgres{bin: bin, dir: dir}
	if os.Getuid() == 0 { // which PostgreSQL refuses to run as
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	if out, err := p.command(ctx, "initdb", "-D", data, "-A", "trust", "-U", "tongka", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	p.server = p.command(ctx, "postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=1GB",
		"-c", "work_mem=512MB", "-c", "max_wal_size=4GB", "-c", "logging_collector=off")
	p.server.Cancel = func() error { return p.server.Process.Signal(os.Interrupt) } // its fast shutdown
	var log bytes.Buffer
	p.server.Stdout, p.server.Stderr = &log, &log
	if err := p.server.Start(); err != nil {
		return nil, err
	}
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for until := time.Now().Add(30 * time.Second); ; {
		if _, err = p.ask(ctx, "SELECT 1"); err == nil {
			return p, nil
		}
		if time.Now().After(until) || ctx.Err() != nil {
			return nil, errors.Join(err, p.stop())
		}
		<-every.C
	}
}

func (p *postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	c.Dir = p.dir
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.as, Pdeathsig: syscall.SIGQUIT}
	return c
}

// ask gives the last line of what psql prints.
func (p *postgres) ask(ctx context.Context, sql string) (string, error) {
	c := p.command(ctx, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", p.dir, "-U", "tongka", "-d", "postgres")
	c.Stdin = strings.NewReader(sql)
	var says bytes.Buffer
	c.Stderr = &says
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, says.String())
	}
	lines := strings.Fields(string(out))
	if len(lines) == 0 {
		return "", errors.New("psql says nothing")
	}
	return lines[len(lines)-1], nil
}

func (p *postgres) stop() error {
	if err := p.server.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return p.server.Wait()
}

// comparePostgres takes both in turns on the same files.
func (c *clearBenchCmd) comparePostgres(s *streams, dir string) (err error) {
	home := filepath.Join(dir, "postgres")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(home, 0o700)); err != nil {
		return err
	}
	names, planted, err := playedFiles(s, dir, c.Rows)
	if err != nil {
		return err
	}
	p, err := startPostgres(s.ctx, c.Postgres, home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	m := postgresMeasure{Rows: c.Rows, Differences: planted}
	if m.Version, err = p.ask(s.ctx, "SHOW server_version_num"); err != nil {
		return err
	}
	var ours, theirs, ratios []float64
	for range postgresRounds {
		from := time.Now()
		found, err := clearFiles(names, dir, c.Memory<<20)
		if err != nil {
			return err
		}
		between := time.Now()
		says, err := p.ask(s.ctx, fmt.Sprintf(reconcileSQL, names[0], names[1]))
		if err != nil {
			return err
		}
		a, b := between.Sub(from).Seconds(), time.Since(between).Seconds()
		if says != strconv.FormatInt(planted, 10) || found != planted {
			return fmt.Errorf("找到 %d 与 %s 处差异，应为 %d · %d and %s differences found, %d were planted", found, says, planted, found, says, planted)
		}
		ours, theirs, ratios = append(ours, a), append(theirs, b), append(ratios, b/a)
	}
	m.Seconds, m.Postgres, m.Ratio = middle(ours), middle(theirs), middle(ratios)
	if c.JSON {
		err = writeJSON(s.out, m)
	} else {
		_, err = fmt.Fprintf(s.out, "双方各 %d 行，同样的文件 · rows of each side, the same files: %d\n通卡 · tongka: %.2f s\nPostgreSQL %s: %.2f s（COPY 与连接 COPY and join）\n比值 · ratio: %.2f\n",
			m.Rows, m.Rows, m.Seconds, m.Version, m.Postgres, m.Ratio)
	}
	if err == nil && m.Ratio < c.MinRatio {
		err = fmt.Errorf("比值 %.2f，至少 %.2f · the ratio is %.2f, at least %.2f is wanted", m.Ratio, c.MinRatio, m.Ratio, c.MinRatio)
	}
	return err
}

// newestPostgres is where the programs of the newest PostgreSQL are that the system's
// packages have installed; empty without one.
func newestPostgres() (bin string) {
	best := 0
	all, _ := filepath.Glob(postgresBins) // the pattern is ours
	for _, name := range all {
		n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(name))))
		if err == nil && n > best {
			best, bin = n, filepath.Dir(name)
		}
	}
	return bin
}

// postgresBins is where Debian's packages put a version's server.
var postgresBins = "/usr/lib/postgresql/*/bin/postgres"

func middle(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
