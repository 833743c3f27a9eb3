package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tongka/cpuidle"
)

// benchCommand makes this test program as the bench, leader of a process group.
func benchCommand(t *testing.T, fault string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = exec.Command(exe, append([]string{"bench"}, args...)...)
	cmd.Env = append(os.Environ(), "FAKE_SWITCH="+fault)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	return cmd, stdout, stderr
}

// runBench runs it to its end and gives the exit code.
func runBench(t *testing.T, fault string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd, out, errs := benchCommand(t, fault, args...)
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// quick are flags for a run of a second.
func quick(t *testing.T, more ...string) []string {
	return append([]string{"--seconds=0.1", "--warm-up=0.05", "--pairs=1", "--shape=A", "--idle=0", "--peers=none", "--dir=" + t.TempDir()}, more...)
}

func TestWholeRun(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "new", "figures.json")
	code, stdout, stderr := runBench(t, "", "--seconds=0.1", "--warm-up=0.05", "--pairs=2", "--shape=A,C", "--idle=60",
		"--dir="+dir, "--json="+file, "--max-cpu-ratio=A=1e6", "--peers=moov,net")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	lines(t, stdout, "形态", "shape", "A 50 × 1", "裸转发 raw", "交换 switch", "C 短连接", "net 转发 net", "moov 转换 moov", "空闲终端 idle terminals: 60")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d things stay in the temporary folder (%v)", len(left), err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The names are an interface: whoever follows the figures reads them.
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got["codec_ns"].(float64) <= 0 {
		t.Errorf("codec %v", got["codec_ns"])
	}
	for _, name := range []string{"A", "C"} {
		s := got["shapes"].(map[string]any)[name].(map[string]any)
		raw := s["raw"].(map[string]any)
		for _, key := range []string{"cpu_us", "tps", "p50_us", "p99_us"} {
			if s[key].(float64) <= 0 || raw[key].(float64) <= 0 {
				t.Errorf("%s %s: %v, raw %v", name, key, s[key], raw[key])
			}
		}
		for _, key := range []string{"allocs_per_txn", "syscalls_per_txn", "disk_bytes_per_txn", "written_bytes_per_txn"} {
			why, _ := s["unmeasured"].(map[string]any)
			if v, ok := s[key]; !ok || v == nil && why[key] == nil {
				t.Errorf("%s %s: %v, and no reason", name, key, v)
			}
		}
		if v, _ := s["rss_bytes"].(float64); v < 1<<20 {
			t.Errorf("%s memory: %v", name, s["rss_bytes"])
		}
		for _, key := range []string{"cpu_ratio_raw", "tps_ratio_raw", "p99_ratio_raw"} {
			if s[key].(float64) <= 0 {
				t.Errorf("%s %s: %v", name, key, s[key])
			}
		}
	}
	for _, path := range [][]string{{"shapes", "A", "percentiles_us"}, {"shapes", "A", "rounds"}, {"quantiles"}} {
		var v any = got
		for _, name := range path {
			v = v.(map[string]any)[name]
		}
		if list := v.([]any); len(list) < 2 {
			t.Errorf("%v: %v", path, list)
		}
	}
	for _, name := range []string{"net", "moov"} {
		p := got["peers"].(map[string]any)[name].(map[string]any)["C"].(map[string]any)
		if p["cpu_us"].(float64) <= 0 || p["cpu_ratio_switch"].(float64) <= 0 {
			t.Errorf("%s: %v", name, p)
		}
	}
	var wish cpuidle.Wish
	if awake := got["machine"].(map[string]any)["kept_awake"]; awake != (wish.Make() == nil) {
		t.Errorf("kept awake: %v, and a wish can be made: %v", awake, wish.Made())
	}
	if err := wish.Drop(); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"cpu", "cores", "kernel", "go", "file_system", "load_1m", "kept_awake"} {
		if _, ok := got["machine"].(map[string]any)[key]; !ok {
			t.Errorf("machine has no %s", key)
		}
	}
	if idle := got["idle"].(map[string]any); idle["connections"].(float64) != 60 || idle["bytes_per_terminal"] == nil {
		t.Errorf("idle: %v", idle)
	}
}

// Sales that arrive at a rate, on lines and with a line each, and the files of their latencies.
func TestOpenLoop(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "r.json")
	code, stdout, stderr := runBench(t, "", "--seconds=0.2", "--warm-up=0.05", "--pairs=1", "--shape=A,C", "--idle=0", "--peers=net", "--dir="+t.TempDir(),
		"--rate=500", "--hgrm="+dir, "--json="+file)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	lines(t, stdout, "500 arrive a second")
	for _, name := range []string{"A.raw", "A.switch", "A.net", "C.raw", "C.switch", "C.net"} {
		b, err := os.ReadFile(filepath.Join(dir, name+".hgrm"))
		if err != nil {
			t.Fatal(err)
		}
		lines(t, string(b), "Percentile")
	}
	var got struct {
		Rate   int              `json:"rate"`
		Shapes map[string]Shape `json:"shapes"`
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if a := got.Shapes["A"]; err != nil || got.Rate != 500 || a.TPS <= 0 {
		t.Errorf("rate %d, %+v, %v", got.Rate, a.Figures, err)
	}
}

func TestRawOnly(t *testing.T) {
	code, stdout, stderr := runBench(t, "dies", quick(t, "--raw", "--shape=W,D", "--pin", "--let-sleep")...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	lines(t, stdout, "W 16 × 64", "D 500 × 1", "idle processors: 可休眠 · may sleep")
	if strings.Contains(stdout, "交换 switch") {
		t.Error("a switch was measured")
	}
}

// The page and the verdict on the goals come with the run, and a goal that is missed
// is an exit code and words, with all files written.
func TestGoalsAndPage(t *testing.T) {
	dir := t.TempDir()
	goals, page, file := filepath.Join(dir, "goals.yaml"), filepath.Join(dir, "page.html"), filepath.Join(dir, "r.json")
	if err := os.WriteFile(goals, []byte("shapes.A.tps: {min: 1}\nshapes.A.cpu_us: {max: 0}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runBench(t, "", quick(t, "--html="+page, "--json="+file, "--goals="+goals)...)
	if code != 1 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	lines(t, stdout, "held    shapes.A.tps", "MISSED  shapes.A.cpu_us")
	lines(t, stderr, "1 of 2 goals missed")
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	lines(t, string(b), "50 terminals × 1", "<svg", "</html>")
	if code, stdout, stderr := runBench(t, "", "compare", file, file); code != 0 || !strings.Contains(stdout, "too few rounds") {
		t.Errorf("compare: exit %d: %s%s", code, stdout, stderr)
	}
}

// Flame graphs of a shape are pages of their own, with the profiles beside them.
func TestProfile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	code, _, stderr := runBench(t, "", "--profile="+dir, "--seconds=1", "--shape=A", "--dir="+t.TempDir())
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, name := range []string{"A.cpu.html", "A.allocs.html"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines(t, string(b), "A 50 × 1", "全部 all", "</html>")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "A.cpu.html")); err != nil || !strings.Contains(string(b), "main.answerSales") && !strings.Contains(string(b), "bench.answerSales") {
		t.Errorf("the work is not in the graph (%v)", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "A.cpu.pb.gz")); err != nil || info.Size() == 0 {
		t.Errorf("profile: %v", err)
	}
}

func TestFailures(t *testing.T) {
	cases := map[string]struct {
		fault string
		flags []string
		code  int
		says  []string
	}{
		"limit missed":  {"", []string{"--min-tps-ratio=A=1e6"}, 1, []string{"未达标 missed: --min-tps-ratio A=1e+06"}},
		"declines":      {"declines", nil, 1, []string{"A: switch: ", "not approvals", "× F39 94"}},
		"ends badly":    {"ends badly", nil, 1, []string{"switch: exit status 3", "the journal could not be closed"}},
		"does not run":  {"dies", nil, 1, []string{"ended at start", "cannot open the journal"}},
		"no program":    {"", []string{"--switch=/nonexistent"}, 1, []string{"/nonexistent"}},
		"no folder":     {"", []string{"--dir=/nonexistent"}, 1, []string{"/nonexistent"}},
		"no such flag":  {"", []string{"--speed"}, 2, []string{"--speed"}},
		"no profiles":   {"hides", []string{"--profile=" + t.TempDir(), "--seconds=1"}, 1, []string{"A: bench: the switch's /debug/pprof/profile?seconds=1: 404"}},
		"long profile":  {"", []string{"--profile=x", "--seconds=9", "--json=x"}, 2, []string{"--seconds from 1 to 8", "--json, --html or --goals"}},
		"no goals":      {"", []string{"--goals=/nonexistent"}, 2, []string{"/nonexistent"}},
		"no such shape": {"", []string{"--shape=X"}, 2, []string{"--shape X"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := runBench(t, c.fault, quick(t, c.flags...)...)
			if code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			lines(t, stderr, c.says...)
		})
	}
}

func TestHelpIsBilingual(t *testing.T) {
	code, stdout, _ := runBench(t, "", "--help")
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	lines(t, stdout, "压测", "Measure the switch against a raw relay", "--min-tps-ratio")
	if strings.Contains(stdout, roleFlag) {
		t.Error("the hidden argument is shown")
	}
}

// However the bench ends, none of its processes may go on loading the machine.
func TestNoProcessStaysBehind(t *testing.T) {
	for name, sig := range map[string]unix.Signal{"interrupted": unix.SIGINT, "killed": unix.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd, _, stderr := benchCommand(t, "", "--seconds=60", "--shape=A", "--idle=0", "--peers=none", "--dir="+dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			group := cmd.Process.Pid
			// Bank, relay, switch, load generator and the bench itself.
			waitFor(t, "five processes", func() bool { return members(t, group) == 5 })
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Error("exit 0")
			}
			waitFor(t, "no process", func() bool { return members(t, group) == 0 })
			if sig == unix.SIGINT {
				if left, _ := os.ReadDir(dir); len(left) != 0 {
					t.Errorf("the temporary folder stays; %s", stderr)
				}
			}
		})
	}
}

// members counts the living processes of a group.
func members(t *testing.T, group int) (n int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state parent group …; the name may hold anything.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if f[2] == strconv.Itoa(group) && f[0] != "Z" {
			n++
		}
	}
	return n
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
