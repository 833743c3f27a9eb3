// Package config reads the one file that says what a switch is to be. It is
// strict: a key that is not known, a value of the wrong type and a value that
// cannot work are refused, all of them in one go, each with its line and column.
//
// The structs here are the one source: the JSON names, the words of the schema,
// which keys may be left out (omitempty), what a number may be (range) and
// which words are allowed (enum) stand in the tags, and both the reader and
// schema.json come from them. So does what a reload may change while the switch
// runs, see Compare: a key without a reload tag wants a restart.
package config

import (
	"time"

	"tongka/hsm"
)

//go:generate go test -run TestSchemaIsUpToDate . -rewrite

// Config is one node. Paths are as the process can open them: a relative path
// of the file was taken from the file's own folder.
type Config struct {
	Node        Node        `json:"node" jsonschema:"本节点 · this node"`
	Data        string      `json:"data,omitempty" jsonschema:"数据目录，相对于本文件 · data folder, relative to this file"`
	Listeners   []Listener  `json:"listeners" reload:"now" jsonschema:"终端接入 · doors for terminals"`
	Links       []Link      `json:"links" reload:"add" jsonschema:"银行线路 · links to banks"`
	Routes      []Route     `json:"routes" reload:"now" jsonschema:"路由，卡号段最窄者优先，其次按顺序 · routes; the narrowest card range wins, then the order"`
	BINTable    string      `json:"bin_table,omitempty" reload:"now" jsonschema:"卡 BIN 表 CSV（列 bin、issuer），相对于本文件 · CSV of card ranges (columns bin, issuer), relative to this file"`
	Calendar    Calendar    `json:"calendar,omitempty" reload:"now" jsonschema:"节假日与调休 · days that are not what their weekday says"`
	FlowControl FlowControl `json:"flow_control,omitempty" reload:"now" jsonschema:"流量控制 · flow control"`
	Day         TerminalDay `json:"day,omitempty" reload:"now" jsonschema:"终端日常：结算、签到密钥与下载 · a terminal's day: settlement, sign-in keys and downloads"`
	BusinessDay BusinessDay `json:"business_day,omitempty" reload:"now" jsonschema:"营业日与日切 · the business day and its end"`
	Rules       Rules       `json:"rules,omitempty" reload:"now" jsonschema:"业务规则 · rules of the business"`
	HSM         HSM         `json:"hsm" jsonschema:"加密机 · security module"`
	Cards       Cards       `json:"cards,omitempty" jsonschema:"电子钱包充值 · loading of e-purse cards"`
	Registry    Registry    `json:"registry,omitempty" jsonschema:"终端登记 · terminals and their keys"`
	Journal     Journal     `json:"journal,omitempty" jsonschema:"流水 · transaction journal"`
	Offline     Offline     `json:"offline,omitempty" reload:"now" jsonschema:"脱机交易文件 · files of offline transactions"`
	Limits      Limits      `json:"limits,omitempty" jsonschema:"容量上限 · limits, sized at start"`
	Processors  Processors  `json:"processors,omitempty" reload:"now" jsonschema:"处理器 · processors"`
	Console     Console     `json:"console,omitempty" jsonschema:"控制台 · web console and admin API"`
	Admin       Admin       `json:"admin,omitempty" jsonschema:"管理接口 · admin API"`
	Stop        Stop        `json:"stop,omitempty" jsonschema:"停机与热重启 · stop and hot restart"`
	Supervisor  Supervisor  `json:"supervisor,omitempty" jsonschema:"守护进程 run --supervise · the supervisor of run --supervise"`
	Log         Log         `json:"log,omitempty" jsonschema:"日志 · log"`
}

// Node is who the switch is towards banks.
type Node struct {
	Name      string `json:"name,omitempty" jsonschema:"节点名 · name of this node"`
	Acquirer  string `json:"acquirer" jsonschema:"受理机构代码 F32，1–11 位数字 · acquiring institution (F32), 1 to 11 digits"`
	Forwarder string `json:"forwarder,omitempty" jsonschema:"发送机构代码 F33，缺省同受理机构 · forwarding institution (F33), the acquirer when left out"`
}

// Listener is a door for terminals.
type Listener struct {
	Name           string        `json:"name" jsonschema:"名称，不可重复 · name, unique"`
	Address        string        `json:"address" jsonschema:"监听地址 主机:端口 · host:port to listen on"`
	Dialect        string        `json:"dialect,omitempty" reload:"no" jsonschema:"报文方言：内置名称（switch dialect list），或方言文件，相对于本文件 · dialect: a built-in name (switch dialect list), or a file, relative to this file"`
	MaxConnections int           `json:"max_connections,omitempty" range:"1,1000000" jsonschema:"最大连接数 · connections at most"`
	MaxFrame       int           `json:"max_frame,omitempty" range:"64,65535" jsonschema:"单帧最大字节 · bytes of a frame at most"`
	MaxOutbound    int           `json:"max_outbound,omitempty" range:"4096,16777216" jsonschema:"一个连接未读走的应答字节上限，超出即断开 · bytes of answers that one connection leaves unread at most; beyond, it is cut"`
	IdleTimeout    time.Duration `json:"idle_timeout,omitempty" range:"1s,24h" jsonschema:"空闲断开 · a silent connection is closed after this"`
	FrameTimeout   time.Duration `json:"frame_timeout,omitempty" range:"100ms,10m" jsonschema:"半帧超时 · a frame that does not end is given up after this"`
	Framing        Framing       `json:"framing,omitempty" jsonschema:"成帧方式，缺省 binary2 · framing, binary2 when left out"`
	TLS            TLS           `json:"tls,omitempty" jsonschema:"TLS，空为明文 · TLS, plain when left out"`
	Allow          []string      `json:"allow,omitempty" jsonschema:"可连接的网段 CIDR，空为全部 · networks that may connect, CIDR; all when left out"`
	Deny           []string      `json:"deny,omitempty" jsonschema:"不可连接的网段 CIDR，优先于 allow · networks that may not, even when allowed"`
	ActionCodes    []string      `json:"action_codes,omitempty" reload:"no" jsonschema:"1993 版方言：先于缺省表的动作码，如 115=57 · dialect of 1993: action codes that come before the usual ones, such as 115=57"`
	PerAddress     PerAddress    `json:"per_address,omitempty" jsonschema:"每个地址的上限 · what one address may do"`
}

// Link is a bank, with one line or several.
type Link struct {
	Name          string        `json:"name" jsonschema:"名称，不可重复 · name, unique"`
	Address       string        `json:"address,omitempty" reload:"now" jsonschema:"银行地址 主机:端口，只有一条线路时代替 lines · host:port of the bank, instead of lines when there is one"`
	Lines         []Line        `json:"lines,omitempty" reload:"now" jsonschema:"线路 · lines to this bank"`
	Dialect       string        `json:"dialect,omitempty" jsonschema:"报文方言：内置名称或方言文件 · dialect: a built-in name, or a file"`
	ActionCodes   []string      `json:"action_codes,omitempty" jsonschema:"1993 版方言：该行的动作码，先于缺省表，如 911=91 · dialect of 1993: this bank's action codes, before the usual ones, such as 911=91"`
	Point         string        `json:"point_of_service,omitempty" jsonschema:"1993 版方言：域 22 的 12 位，第 7 至 9 位由交易决定，缺省 510101001141 · dialect of 1993: the 12 positions of F22, of which the transaction itself says 7 to 9; 510101001141 when left out"`
	Framing       Framing       `json:"framing,omitempty" reload:"now" jsonschema:"成帧方式，缺省 ascii4 · framing, ascii4 when left out"`
	TLS           TLS           `json:"tls,omitempty" reload:"now" jsonschema:"TLS，空为明文 · TLS, plain when left out"`
	Destination   string        `json:"destination" reload:"now" jsonschema:"报文头目的站代码，1–11 位数字 · destination station of the header, 1 to 11 digits"`
	Source        string        `json:"source,omitempty" reload:"now" jsonschema:"报文头源站代码，缺省为受理机构 · source station of the header, the acquirer when left out"`
	ZPK           hsm.Key       `json:"zpk" reload:"now" jsonschema:"LMK 下的区域 PIN 密钥，U/X+32H 或 T/Y+48H · zone PIN key under the LMK: U or X and 32 hex digits, T or Y and 48"`
	ZMK           hsm.Key       `json:"zmk,omitempty" reload:"now" jsonschema:"LMK 下的区域主密钥；给出则接受银行以 0800 更换 ZPK 与 ZAK · zone master key under the LMK: with it the bank may change the ZPK and the ZAK by an 0800"`
	ZAK           hsm.Key       `json:"zak,omitempty" reload:"now" pattern:"^([0-9A-Fa-f]{16}|[UX][0-9A-Fa-f]{32}|[TY][0-9A-Fa-f]{48})$" jsonschema:"LMK 下的区域 MAC 密钥，与 mac 同用，16H 或 U/X+32H、T/Y+48H · zone MAC key under the LMK, with mac: 16 hex digits, U or X and 32, T or Y and 48"`
	MAC           MAC           `json:"mac,omitempty" reload:"now" jsonschema:"与该行往来报文的 MAC，空为不带 · MAC of the messages from and to this bank, none when left out"`
	KeyGrace      time.Duration `json:"key_grace,omitempty" range:"0s,24h" reload:"now" jsonschema:"换钥后旧 MAC 密钥仍认多久，缺省 5m · how long the MAC key before is still good for what the bank sends, 5m when left out"`
	AnswerTimeout time.Duration `json:"answer_timeout,omitempty" range:"1s,10m" reload:"now" jsonschema:"银行应答时限 · how long a bank may take to answer"`
	EchoInterval  time.Duration `json:"echo_interval,omitempty" range:"1s,1h" reload:"now" jsonschema:"回响测试间隔 · time between echo tests on a link"`
	EchoTimeout   time.Duration `json:"echo_timeout,omitempty" range:"100ms,10m" reload:"now" jsonschema:"回响应答时限 · how long an echo may take"`
	MaxMissed     int           `json:"max_missed,omitempty" range:"0,100000" reload:"now" jsonschema:"连续多少笔无应答即摘除线路并探测，0 不摘除 · requests in a row without an answer that take a line out, to be probed; 0: never"`
	WhenFull      string        `json:"when_full,omitempty" enum:"91,96" reload:"now" jsonschema:"全部线路已满时的应答码 · response code when all lines are full"`
	Reversal      Reversal      `json:"reversal,omitempty" reload:"now" jsonschema:"冲正投递 · delivery of reversals"`
	Limit         Cap           `json:"limit,omitempty" reload:"now" jsonschema:"发往该行的流量上限 · what may go to this bank at most"`
}

// Reversal says how reversals that are owed to a bank are offered to it.
type Reversal struct {
	Interval      time.Duration `json:"interval,omitempty" range:"100ms,24h" jsonschema:"首次重发间隔 · first time between two offers"`
	MaxInterval   time.Duration `json:"max_interval,omitempty" range:"100ms,24h" jsonschema:"最大重发间隔 · longest time between two offers"`
	MaxAttempts   int           `json:"max_attempts,omitempty" range:"1,65534" jsonschema:"最多次数，之后挂起并告警 · offers at most, then it is parked with an alarm"`
	Window        int           `json:"window,omitempty" range:"1,1024" jsonschema:"同时在途的冲正数 · reversals under way at once"`
	AnswerTimeout time.Duration `json:"answer_timeout,omitempty" range:"1s,10m" jsonschema:"应答时限 · how long a bank may take to answer one"`
	Round         time.Duration `json:"round,omitempty" range:"10ms,1h" jsonschema:"一轮的长度 · length of a round of offers"`
	PerRound      int           `json:"per_round,omitempty" range:"0,1048576" jsonschema:"每轮最多投递数，0 为 64 个窗口 · offers in a round at most, 0: 64 windows full"`
}

// HSM says which security module is asked.
type HSM struct {
	Mode      string        `json:"mode" enum:"soft,tcp" jsonschema:"soft 内置软模块（仅测试），tcp 加密机 · soft: in the process, for tests only; tcp: modules behind sockets"`
	Addresses []string      `json:"addresses,omitempty" reload:"now" jsonschema:"加密机地址，mode 为 tcp 时必填 · host:port of each module, wanted when mode is tcp"`
	Header    int           `json:"header,omitempty" range:"4,255" jsonschema:"主机命令消息头字节数 · bytes of the host command header"`
	Timeout   time.Duration `json:"timeout,omitempty" range:"10ms,1m" reload:"now" jsonschema:"命令时限 · how long a command may take"`
	TestLMK   bool          `json:"test_lmk,omitempty" jsonschema:"公开测试 LMK，绝不可用于生产 · the public test LMK, never for production"`
	LMKFile   string        `json:"lmk_file,omitempty" jsonschema:"软模块自己的 LMK，由 switch hsm lmk new 生成 · an LMK of one's own for the soft module, made by switch hsm lmk new"`
	PassFile  string        `json:"pass_file,omitempty" jsonschema:"lmk_file 的口令文件，取首行 · file whose first line is the passphrase of lmk_file"`
	Dialect   string        `json:"dialect,omitempty" enum:"payshield,sjl06,sjj1310,simulator" jsonschema:"加密机类型，见 hsm 文档 · kind of module, see the page on HSMs"`

	Connections   int           `json:"connections,omitempty" range:"1,32" jsonschema:"每台加密机的连接数 · connections to each module"`
	KeyConnection bool          `json:"key_connection,omitempty" jsonschema:"密钥管理另用一条连接，不拖慢交易 · one connection more for key management, which then never delays a transaction"`
	Window        int           `json:"window,omitempty" range:"1,1024" jsonschema:"每条连接同时在途的命令数 · commands under way at once on a connection"`
	Rate          int           `json:"rate,omitempty" range:"0,100000" jsonschema:"每台加密机许可的每秒命令数，0 为不限 · licensed commands a second of each module, 0: no limit"`
	Probe         time.Duration `json:"probe,omitempty" range:"100ms,10m" jsonschema:"空闲多久探测一次，每十次核对 LMK · how long a connection is idle before it is probed; every tenth probe looks at the LMK"`
	LMKCheck      string        `json:"lmk_check,omitempty" jsonschema:"LMK 校验值，16 位十六进制，空则以首台为准 · check value of the LMK, 16 hex digits; the first module's when left out"`
	Commands      []HSMCommand  `json:"commands,omitempty" jsonschema:"与手册不同或另有的主机命令 · host commands that differ from the manual, or go beyond it"`
}

// HSMCommand is one host command of a module that has its own form of it.
type HSMCommand struct {
	Code     string `json:"code" jsonschema:"命令码，如 UB · command code, such as UB"`
	Request  string `json:"request,omitempty" jsonschema:"请求域的布局，见 hsm 文档 · layout of the request, see the page on HSMs"`
	Response string `json:"response,omitempty" jsonschema:"应答域的布局 · layout of the response"`
}

// Rules are what the house allows beyond the amounts of the originals.
type Rules struct {
	CompletionPercent int `json:"completion_percent,omitempty" range:"0,100" jsonschema:"预授权完成可超出预授权金额的百分比 · percent that a completion may be above its pre-authorisation"`
	TipPercent        int `json:"tip_percent,omitempty" range:"0,100" jsonschema:"小费合计占消费金额的最大百分比，0 不接受 · percent of a sale that its tips may come to; 0: none are taken"`
}

// Registry says where terminals come from.
type Registry struct {
	SessionTTL   time.Duration `json:"session_ttl,omitempty" range:"1m,8760h" jsonschema:"签到有效期 · how long a sign-in holds"`
	MaxTerminals int           `json:"max_terminals,omitempty" range:"1,4000000" jsonschema:"终端数上限 · terminals at most"`
	MaxBlacklist int           `json:"max_blacklist,omitempty" range:"1,100000000" jsonschema:"黑名单卡数上限 · cards on the blacklist at most"`
	MaxCards     int           `json:"max_cards,omitempty" range:"1,100000000" jsonschema:"每日计数的卡数上限，有卡片限额时占用内存 · cards counted in a day at most; memory is taken when cards have limits"`
	DayCut       time.Duration `json:"day_cut,omitempty" range:"0s,23h59m" jsonschema:"营业日切换时刻，距北京时间零点 · when the business day of the limits begins, after midnight in Beijing"`
	Import       string        `json:"import,omitempty" reload:"now" jsonschema:"启动时导入的 CSV，相对于本文件 · CSV that is imported at start, relative to this file"`
}

// Journal says where the key of the journal lies.
type Journal struct {
	KeyFile string   `json:"key_file,omitempty" jsonschema:"流水加密密钥文件，缺省为数据目录下 journal.key，尚无流水时无则新建 · key file of the journal, journal.key in the data folder when left out, made when it is missing and there is no journal yet"`
	OldKeys []string `json:"old_keys,omitempty" jsonschema:"以前的密钥文件，更换 key_file 后首次启动时需要，见 switch journal keys · earlier key files, wanted by the first start after key_file was changed; see switch journal keys"`
	Reserve int      `json:"reserve,omitempty" range:"0,1048576" reload:"now" jsonschema:"数据目录所在磁盘须留的空间 MiB，不足则拒绝新交易，0 不监视 · MiB that must stay free on the disk of the data folder; with less, new requests are refused; 0 does not watch"`
	Full    string   `json:"full_code,omitempty" enum:"91,96" reload:"now" jsonschema:"空间不足时的应答码 · response code when there is less"`
}

// Offline says what records of offline transactions are held against. The command
// switch offline reads it each time, and so does a switch that runs when messages
// have brought some.
type Offline struct {
	Messages  string `json:"messages,omitempty" jsonschema:"0320 报文 F62 中脱机记录的格式名或文件，如 bus-64，空则不受理；改动须重启 · layout of offline records in F62 of 0320, such as bus-64; none are taken when left out; a change wants a restart" reload:""`
	TACKeys   string `json:"tac_keys,omitempty" jsonschema:"TAC 主密钥 CSV（列 family,algorithm,index,version,issuer,key，密钥在 LMK 下），空则不验 TAC · CSV of TAC master keys under the LMK; without it TACs are not verified"`
	Terminals string `json:"terminals,omitempty" jsonschema:"商户、终端与 SAM 的 CSV（列 company,terminal,sam,state） · CSV of companies, terminals and SAMs"`
	Cards     string `json:"cards,omitempty" jsonschema:"注销、挂失卡与发行号段的 CSV（列 card,state） · CSV of cancelled and lost cards and of the numbers that are issued"`
	MaxFile   int    `json:"max_file,omitempty" range:"1,1048576" jsonschema:"文件上限 MB，压缩包按解压后计 · largest file in MB, a package by what it unpacks to"`
}

// Limits are sized at start; what goes beyond is refused at the door.
type Limits struct {
	InFlight int `json:"in_flight,omitempty" range:"1,500000" jsonschema:"在途交易数 · transactions in flight"`
	History  int `json:"history,omitempty" range:"4,1024" jsonschema:"每终端记住的最近交易数，用于识别重复 · transactions of each terminal that are kept at hand, to know a repeat"`
	MaxFrame int `json:"max_frame,omitempty" range:"64,65535" jsonschema:"任何一帧的最大字节 · bytes of any frame at most"`
}

// Processors says how the machine's processors wait.
type Processors struct {
	AwakeAbove int `json:"awake_above,omitempty" range:"0,1000000" jsonschema:"每秒请求超过此数时，空闲处理器轮询而不休眠（须可写 /dev/cpu_dma_latency），0 从不 · requests a second above which processors without work poll and do not sleep, where /dev/cpu_dma_latency may be written; 0: never"`
}

// Console is where people look.
type Console struct {
	Address string `json:"address,omitempty" jsonschema:"控制台地址，空为关闭 · host:port, off when empty"`
}

// Admin says who may tell a running switch what to do.
type Admin struct {
	Socket string `json:"socket,omitempty" jsonschema:"本机管理套接字，只有本进程用户与 root 可用，缺省为数据目录下 admin.sock · unix socket for this user and root, admin.sock in the data folder when left out"`
	Tokens string `json:"tokens,omitempty" reload:"now" jsonschema:"令牌文件，每行 名称:令牌，控制台上的管理操作须持令牌，空为只读 · file of name:token lines for admin actions on the console; without it the console only reads"`
}

// Stop says how much time what is under way gets.
type Stop struct {
	Deadline        time.Duration `json:"deadline,omitempty" range:"100ms,10m" reload:"now" jsonschema:"停机时限，到时未完成的交易超时并欠冲正 · what is not finished by then is timed out and its reversal owed"`
	RestartDeadline time.Duration `json:"restart_deadline,omitempty" range:"100ms,1m" reload:"now" jsonschema:"热重启时限，其间新连接排队等待 · the same for a hot restart, during which newcomers wait in the backlog"`
}

// Supervisor says how the process of run --supervise watches its worker. It reads
// this once, at its own start.
type Supervisor struct {
	Heartbeat    time.Duration `json:"heartbeat,omitempty" range:"1s,1h" jsonschema:"交易循环静默多久即视为停顿 · how long the loop of transactions may be silent before it counts as hung"`
	StartTimeout time.Duration `json:"start_timeout,omitempty" range:"1s,24h" jsonschema:"启动与恢复时限，恢复有进展则顺延 · how long start and recovery may take; progress of the recovery extends it"`
	Memory       int           `json:"memory,omitempty" range:"0,16777216" jsonschema:"工作进程常驻内存上限 MiB，超出即有序重启，0 不限 · MiB that the worker may hold resident; beyond, it is restarted in order; 0 is no limit"`
	Backoff      time.Duration `json:"backoff,omitempty" range:"10ms,1h" jsonschema:"崩溃后首次等待，每次加倍 · pause after a crash, doubled each time"`
	MaxBackoff   time.Duration `json:"max_backoff,omitempty" range:"10ms,1h" jsonschema:"最长等待 · longest pause"`
}

// Log says what is logged, and where to.
type Log struct {
	Level string `json:"level,omitempty" enum:"debug,info,warn,error" reload:"now" jsonschema:"级别 · level"`
	File  string `json:"file,omitempty" jsonschema:"日志文件，空为标准错误 · file, standard error when empty"`
}

// Defaults is the config that a file starts from.
func Defaults() Config {
	return Config{
		Node:        Node{Name: "tongka-1"},
		Data:        "data",
		Day:         TerminalDay{Signals: "012"},
		BusinessDay: BusinessDay{Cut: 23 * time.Hour},
		Rules:       Rules{CompletionPercent: 15, TipPercent: 20},
		HSM:         HSM{Header: 8, Timeout: 2 * time.Second, Connections: 1, KeyConnection: true, Window: 16, Probe: 5 * time.Second},
		Cards:       Cards{CityLevels: 2, TUnionLevels: 2, AirKey: 1},
		Registry:    Registry{SessionTTL: 24 * time.Hour, MaxTerminals: 100_000, MaxBlacklist: 20_000_000, MaxCards: 1_000_000},
		Journal:     Journal{Reserve: 512, Full: "96"},
		FlowControl: FlowControl{Code: "96", Payments: perSecond, Enquiries: perSecond, Address: perSecond, Terminal: perSecond, Merchant: perSecond},
		Offline:     Offline{MaxFile: 4096},
		Limits:      Limits{InFlight: 16384, History: 16, MaxFrame: 2048},
		Processors:  Processors{AwakeAbove: 2000},
		Console:     Console{Address: "127.0.0.1:8080"},
		Stop:        Stop{Deadline: 10 * time.Second, RestartDeadline: 2 * time.Second},
		Supervisor:  Supervisor{Heartbeat: 30 * time.Second, StartTimeout: 10 * time.Minute, Backoff: 200 * time.Millisecond, MaxBackoff: 30 * time.Second},
		Log:         Log{Level: "info"},
	}
}

// starter is an element of a list that starts from defaults of its own.
type starter interface{ start() }

func (l *Listener) start() {
	*l = Listener{
		Dialect: "pos", MaxConnections: 20_000, MaxFrame: 2048, MaxOutbound: 64 << 10,
		IdleTimeout: 10 * time.Minute, FrameTimeout: 10 * time.Second,
	}
}

// The bank may take 25 s, so that a terminal that waits 60 s still hears of it.
func (l *Link) start() {
	*l = Link{
		Dialect: "cups", AnswerTimeout: 25 * time.Second,
		EchoInterval: time.Minute, EchoTimeout: 10 * time.Second, KeyGrace: 5 * time.Minute, MaxMissed: 10, WhenFull: "96", Limit: perSecond,
		Reversal: Reversal{
			Interval: 5 * time.Second, MaxInterval: 5 * time.Minute,
			MaxAttempts: 100, Window: 16, AnswerTimeout: 10 * time.Second, Round: time.Second,
		},
	}
}
