package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/node"
	"tongka/sim"
	"tongka/txn"
)

// simCmd gathers what plays against a switch. All of it uses the public test LMK
// and invented card numbers.
type simCmd struct {
	Bank      simBankCmd      `cmd:"" help:"模拟银行 · play a bank"`
	Terminal  simTerminalCmd  `cmd:"" help:"模拟一批终端 · play a fleet of terminals"`
	Kiosk     simKioskCmd     `cmd:"" help:"模拟自助终端为电子钱包卡充值 · play kiosks that load e-purse cards"`
	Offline   simOfflineCmd   `cmd:"" help:"生成脱机交易文件及其名单 · make files of offline transactions, and the lists beside them"`
	HSM       simHSMCmd       `cmd:"" name:"hsm" help:"模拟加密机（公开测试 LMK） · play a security module with the public test LMK"`
	World     simWorldCmd     `cmd:"" help:"模拟时钟、网络、磁盘与崩溃，检验真实代码的承诺 · simulated clock, network, disk and crashes against the real code"`
	Crash     simCrashCmd     `cmd:"" help:"真实进程的强杀与断电演练，比对账本 · kill a real switch and cut its power under load, and compare the books"`
	Compare   simCompareCmd   `cmd:"" help:"比对终端与银行账本 · compare the books of terminals and banks"`
	Provision simProvisionCmd `cmd:"" help:"生成测试终端 CSV · print test terminals as CSV"`
	Key       simKeyCmd       `cmd:"" help:"把明文测试密钥置于公开测试 LMK 下 · put a clear test key under the public test LMK"`
}

// report is how simulators tell what they do.
type report struct {
	JSON  bool          `help:"不显示状态行，结束时输出 JSON · no status lines, JSON at the end"`
	Every time.Duration `default:"1s" help:"状态行间隔 · time between status lines"`
}

func (r report) options() sim.Report { return sim.Report{JSON: r.JSON, Every: r.Every} }

// simLog writes what simulators log: JSON lines, warnings and worse.
func simLog(s *streams) *zap.Logger {
	enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(enc, zapcore.AddSync(s.err), zap.WarnLevel))
}

// simBankCmd is a bank that can also misbehave, for drills.
type simBankCmd struct {
	report
	Name        string        `default:"bank" help:"账本与日志中的名称 · name in its books and log"`
	Listen      string        `xor:"side" required:"" placeholder:"ADDR" help:"监听，等交换来连；与 --connect 二选一 · wait here for the switch; either this or --connect"`
	Connect     string        `xor:"side" required:"" placeholder:"ADDR" help:"主动连接交换；与 --listen 二选一 · dial the switch; either this or --listen"`
	ZPK         string        `name:"zpk" placeholder:"HEX" help:"明文 ZPK，32 位十六进制，给出则解开 PIN · clear ZPK of 32 hex digits, to open PIN blocks"`
	ZMK         string        `name:"zmk" placeholder:"HEX" help:"明文 ZMK，给出则应申请送来新密钥 · clear ZMK: with it the bank brings new keys when it is asked"`
	ZAK         string        `name:"zak" placeholder:"HEX" help:"明文 ZAK，给出则校验并生成 MAC · clear ZAK, to verify and make MACs"`
	MAC         string        `name:"mac" default:"x9.19" enum:"x9.9,x9.19,cbc,ecb" help:"MAC 算法 · MAC algorithm: ${enum}"`
	MACData     string        `name:"mac-data" default:"fields" enum:"fields,message" help:"MAC 的内容 · what MACs cover: ${enum}"`
	MACForm     string        `name:"mac-form" default:"binary" enum:"binary,hex" help:"MAC 的形式 · form of MACs: ${enum}"`
	KeyChange   string        `name:"mac-key-change" default:"new" enum:"new,old" help:"换 MAC 密钥的报文以新钥或旧钥计算 · a change of the MAC key is under the new key or the old: ${enum}"`
	WrongMAC    bool          `name:"wrong-mac" help:"所发报文的 MAC 错误 · what it sends has a wrong MAC"`
	NoMAC       bool          `name:"no-mac" help:"应答不带 MAC · answers have none"`
	Dialect     string        `placeholder:"NAME" help:"报文方言：93a 或 93b，缺省 cups · dialect: 93a or 93b; cups when left out"`
	Books       string        `placeholder:"FILE" help:"账本文件 · file of its books"`
	Limit       int           `help:"账本最多笔数 · bookings at most"`
	Delay       time.Duration `help:"应答前等待 · wait before every answer"`
	Jitter      time.Duration `help:"另加随机等待 · random wait on top"`
	DeclineRate float64       `help:"拒绝比例 0–1 · share of sales to decline, 0 to 1"`
	DeclineCode string        `default:"05" help:"拒绝应答码 · response code of a declined sale"`
	Silent      bool          `help:"记账但不应答 · book sales and answer none"`
	Deaf        bool          `help:"既不记账也不应答 · neither book nor answer"`
	CloseEvery  int           `help:"每 N 笔记账后断线 · drop the line after each n-th sale"`
	CloseAfter  int           `help:"短连接：每条连接应答 N 条报文后断开 · short-lived: close a connection after so many messages, answered first"`
	Twice       bool          `help:"每个应答发两次 · send every answer twice"`
	Refuse      string        `placeholder:"CODE" help:"对签到、签退与回响的应答码 · response code to sign-on, sign-off and echo"`
	Line        int           `help:"只有第 N 条连接如此，从 1 起，0 为全部 · only the n-th connection is like that, from 1; 0: all"`
}

// Run plays until it is told to stop, then prints the totals.
func (c *simBankCmd) Run(s *streams) error {
	zpk, err := clearKey("zpk", c.ZPK)
	if err != nil {
		return err
	}
	zmk, err := clearKey("zmk", c.ZMK)
	if err != nil {
		return err
	}
	zak, err := clearKey("zak", c.ZAK)
	if err != nil {
		return err
	}
	if len(c.DeclineCode) != 2 {
		return fmt.Errorf("应答码 %q 须为 2 个字符 · response code %q, wanted 2 characters", c.DeclineCode, c.DeclineCode)
	}
	var refuse txn.Code
	if copy(refuse[:], c.Refuse); c.Refuse != "" && len(c.Refuse) != 2 {
		return fmt.Errorf("应答码 %q 须为 2 个字符 · response code %q, wanted 2 characters", c.Refuse, c.Refuse)
	}
	return sim.RunBank(s.ctx, sim.BankConfig{
		Name: c.Name, Listen: c.Listen, Connect: c.Connect, ZPK: zpk, ZMK: zmk, Books: c.Books, Dialect: c.Dialect, Limit: c.Limit, Log: simLog(s), Line: c.Line,
		MAC: sim.BankMAC{Key: zak, Algorithm: c.MAC, Whole: c.MACData == "message", Hex: c.MACForm == "hex", OldSeals: c.KeyChange == "old"},
		Behaviour: sim.Behaviour{
			Delay: c.Delay, DelayJitter: c.Jitter, Decline: txn.Code([]byte(c.DeclineCode)), DeclineRate: c.DeclineRate,
			Silent: c.Silent, Deaf: c.Deaf, CloseEvery: c.CloseEvery, CloseAfter: c.CloseAfter, Twice: c.Twice, Refuse: refuse, WrongMAC: c.WrongMAC, NoMAC: c.NoMAC,
		},
	}, c.options(), s.out)
}

// clearKey reads a clear key of a test; empty gives none. The value is not
// repeated in the error: somebody will type a real one here.
func clearKey(name, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 8 && len(b) != 16 && len(b) != 24 {
		return nil, fmt.Errorf("%s 须为 16、32 或 48 位十六进制 · %s: 16, 32 or 48 hex digits wanted", name, name)
	}
	return b, nil
}

// simTerminalCmd is a fleet of the terminals that simProvisionCmd prints: the
// same count and seed give the same keys on both sides.
type simTerminalCmd struct {
	report
	Connect  string        `required:"" placeholder:"ADDR" help:"交换的终端接入地址 · the switch's door for terminals"`
	Count    int           `default:"10" help:"终端数，与 sim provision 相同 · terminals, as in sim provision"`
	Seed     uint64        `default:"1" help:"种子，与 sim provision 相同 · seed, as in sim provision"`
	Rate     float64       `help:"总消费速率，笔/秒，0 为应答即发 · sales a second of all, 0: as fast as answers come"`
	Sales    int           `help:"每台笔数，0 为不限 · sales of each, 0: no end"`
	First    uint32        `default:"1" help:"首笔编号 · number of the first sale"`
	Mix      string        `placeholder:"MIX" help:"其他交易的比例：usual，或 void=0.1,refund=0.1 等 · shares of other kinds: usual, or such as void=0.1,refund=0.1"`
	Enquiry  float64       `name:"enquiry-share" help:"余额查询比例 0–1 · share of turns that ask for a balance, 0 to 1"`
	PINShare float64       `name:"pin-share" help:"带 PIN 比例 0–1 · share of sales with a PIN, 0 to 1"`
	Timeout  time.Duration `default:"40s" help:"应答时限 · how long to wait for an answer"`
	Books    string        `placeholder:"FILE" help:"账本文件 · file of their books"`
	Dialect  string        `placeholder:"NAME" help:"报文方言：93a 或 93b，缺省 pos · dialect: 93a or 93b; pos when left out"`
	Short    bool          `help:"每笔一条短连接 · a connection for each sale"`
	SM4      bool          `name:"sm4" help:"国密终端，与 sim provision --sm4 相同 · terminals with SM4, as in sim provision --sm4"`
	SignIn   string        `placeholder:"CODE" help:"签到 F60.3：001 单倍长，003 双倍长（缺省），004 含磁道密钥；--sm4 为 006 · F60.3 of sign-ins: 001 single-length keys, 003 double-length (the default), 004 with a track key; 006 with --sm4"`
	LoadKey  string        `name:"load-key" placeholder:"HEX" help:"签到前以此明文传输密钥下载主密钥，每台须先经 registry permit · download master keys before the sign-in, under this clear transport key; each terminal wants a registry permit first"`
	Settle   time.Duration `default:"30s" help:"结束时了结未决的时限 · time to resolve what is open at the end"`
}

// Validate holds the sign-in to what the terminals' cipher has.
func (c *simTerminalCmd) Validate() error {
	switch {
	case c.SignIn == "", c.SM4 && c.SignIn == "006", !c.SM4 && (c.SignIn == "001" || c.SignIn == "003" || c.SignIn == "004"):
		return nil
	}
	return fmt.Errorf("--sign-in %s：须为 001、003 或 004，--sm4 时为 006 · wanted 001, 003 or 004, or 006 with --sm4", c.SignIn)
}

// Run sells until the sales are made or it is told to stop; the error says how
// many sales have no known end.
func (c *simTerminalCmd) Run(s *streams) error {
	provision := sim.Provision
	if c.SM4 {
		provision = sim.ProvisionSM4
	}
	terminals, _, err := provision(c.Count, c.Seed)
	if err != nil {
		return err
	}
	transport, err := clearKey("load-key", c.LoadKey)
	if err != nil {
		return err
	}
	for i := range terminals {
		terminals[i].SignIn, terminals[i].Transport = c.SignIn, transport
	}
	mix, err := sim.ParseMix(c.Mix)
	if err != nil {
		return err
	}
	return sim.RunFleet(s.ctx, sim.FleetConfig{
		Addr: c.Connect, Terminals: terminals, Mix: mix, Rate: c.Rate, Sales: c.Sales, First: c.First, PINShare: c.PINShare, EnquiryShare: c.Enquiry,
		AnswerTimeout: c.Timeout, Books: c.Books, Dialect: c.Dialect, ShortLived: c.Short, LoadKeys: transport != nil, Log: simLog(s),
	}, c.Settle, c.options(), s.out)
}

// simHSMCmd is a security module behind a socket, for hsm.mode tcp.
type simHSMCmd struct {
	report
	Listen string        `default:"127.0.0.1:1500" placeholder:"ADDR" help:"监听地址 · address to listen on"`
	Header int           `default:"8" help:"消息头字符数 · characters of the message header"`
	Delay  time.Duration `help:"应答前等待 · wait before every answer"`
}

// Validate holds the header to what modules can be set to.
func (c *simHSMCmd) Validate() error {
	if c.Header < minHSMHeader || c.Header > maxHSMHeader {
		return fmt.Errorf("--header %d：须为 %d 至 %d · wanted %d to %d", c.Header, minHSMHeader, maxHSMHeader, minHSMHeader, maxHSMHeader)
	}
	return nil
}

// The headers that a module may be set to. A switch wants four characters at least, to tell its
// commands apart (hsm.header).
const minHSMHeader, maxHSMHeader = 1, 255

// Run answers host commands until it is told to stop.
func (c *simHSMCmd) Run(s *streams) error {
	return sim.RunHSM(s.ctx, sim.HSMConfig{Listen: c.Listen, HeaderLen: c.Header, Delay: c.Delay, Log: simLog(s)}, c.options(), s.out)
}

// simCompareCmd is the judge of a drill: exit code 1 means that money was lost
// or taken twice.
type simCompareCmd struct {
	JSON      bool     `help:"输出 JSON · write JSON"`
	Terminals []string `placeholder:"FILE" help:"终端账本，可多个 · books of terminals"`
	Kiosks    string   `placeholder:"FILE" help:"自助终端账本 · book of kiosks"`
	Banks     []string `required:"" placeholder:"FILE" help:"银行账本，可多个 · books of banks"`
}

// Validate wants something to compare.
func (c *simCompareCmd) Validate() error {
	if len(c.Terminals) == 0 && c.Kiosks == "" {
		return errors.New("须给出 --terminals 或 --kiosks · --terminals or --kiosks is wanted")
	}
	return nil
}

// Run compares the books of all terminals and kiosks with those of all banks.
func (c *simCompareCmd) Run(s *streams) error {
	return sim.RunCompare(c.Terminals, c.Banks, c.Kiosks, sim.Report{JSON: c.JSON}, s.out)
}

// simProvisionCmd prints an import file for registry import.
type simProvisionCmd struct {
	Count  int    `default:"10" help:"终端数 · terminals"`
	Seed   uint64 `default:"1" help:"种子 · seed"`
	Kiosks bool   `xor:"series" help:"自助终端，见 sim kiosk · kiosks, for sim kiosk"`
	SM4    bool   `name:"sm4" xor:"series" help:"国密终端，见 sim terminal --sm4 · terminals with SM4, for sim terminal --sm4"`
}

// Run prints the terminals, their keys under the public test LMK.
func (c *simProvisionCmd) Run(s *streams) error {
	provision := sim.Provision
	switch {
	case c.Kiosks:
		provision = sim.ProvisionKiosks
	case c.SM4:
		provision = sim.ProvisionSM4
	}
	_, csv, err := provision(c.Count, c.Seed)
	if err != nil {
		return err
	}
	_, err = s.out.Write(csv)
	return err
}

// simKeyCmd makes the zpk of a test config, or the tmk of a test terminal.
type simKeyCmd struct {
	Type  string `required:"" enum:"tmk,tpk,tak,zpk,zak,zmk" help:"密钥类型 · key type: ${enum}"`
	Clear string `arg:"" name:"clearhex" help:"明文测试密钥，16、32 或 48 位十六进制 · clear test key of 16, 32 or 48 hex digits"`
	SM4   bool   `name:"sm4" help:"SM4 密钥（32 位十六进制），得 S 方案 · a key for SM4 of 32 hex digits: scheme S"`
	JSON  bool   `help:"输出 JSON · write JSON"`

	LMK      string `name:"lmk" placeholder:"FILE" help:"加密存放的 LMK，缺省为公开测试 LMK · sealed LMK; the public test LMK when left out"`
	PassFile string `placeholder:"FILE" help:"口令文件，随 --lmk · file of the passphrase, with --lmk"`
}

// Validate wants both of a sealed LMK's files.
func (c *simKeyCmd) Validate() error {
	return (&hsmServeCmd{LMK: c.LMK, PassFile: c.PassFile, Header: 8}).Validate()
}

// keyTypes are the names as operators say them; a tmk and a tpk lie under the
// same LMK pair.
var keyTypes = map[string]hsm.KeyType{"tmk": hsm.TMK, "tpk": hsm.TPK, "tak": hsm.TAK, "zpk": hsm.ZPK, "zak": hsm.ZAK, "zmk": hsm.ZMK}

// Run prints the key and the first three bytes of its check value, which is what
// key letters show. The warning goes to standard error, out of a pipe's way.
func (c *simKeyCmd) Run(s *streams) error {
	b, err := clearKey("clearhex", c.Clear)
	if err != nil {
		return err
	}
	if b == nil {
		return errors.New("密钥为空 · the key is empty")
	}
	lmk, warning := soft.TestLMK(), "公开测试 LMK，绝不可用于生产 · public test LMK, never for production"
	if c.LMK != "" {
		warning = "开发用 LMK，不可用于生产 · an LMK for development, never for production"
		if lmk, err = node.ReadLMK(c.LMK, c.PassFile); err != nil {
			return err
		}
	}
	m := soft.New(lmk)
	wrap := m.Wrap
	if c.SM4 {
		wrap = m.WrapSM4
	}
	k, err := wrap(keyTypes[c.Type], b)
	if err != nil {
		return err
	}
	kcv, code := m.CheckValue(keyTypes[c.Type], &k)
	if !code.OK() {
		return code
	}
	if c.JSON {
		return writeJSON(s.out, map[string]string{"type": c.Type, "key": k.String(), "kcv": fmt.Sprintf("%X", kcv[:3])})
	}
	fmt.Fprintf(s.out, "密钥 · key: %s\n校验值 · check value: %X\n", k, kcv[:3])
	fmt.Fprintln(s.err, warning)
	return nil
}
