package fault

// The codes. What each means stands in the table.
const (
	JournalFailed      Code = 1001
	JournalUnread      Code = 1002
	StoreComplains     Code = 1003
	DiskNearlyFull     Code = 1004
	SpaceUnknown       Code = 1005
	AuditBroken        Code = 1006
	NotAudited         Code = 1007
	RegistryUnsaved    Code = 1008
	TotalsUnread       Code = 1009
	DiskSlow           Code = 1010
	FrameRefused       Code = 2001
	RequestRefused     Code = 2002
	NoSlot             Code = 2003
	AcceptFailed       Code = 2004
	NotEnrolled        Code = 2005
	AnswerLost         Code = 2006
	BatchUnequal       Code = 2007
	LinkLost           Code = 3001
	LinkUnreachable    Code = 3002
	LineRefusedTwice   Code = 3003
	BankFrameRefused   Code = 3004
	BankRefusal        Code = 3005
	BankUnknownNetwork Code = 3006
	DebtParked         Code = 3007
	DebtUnrendered     Code = 3008
	RequestUnrendered  Code = 3009
	DebtsHeld          Code = 3010
	CutUntold          Code = 3011
	ModuleLost         Code = 4001
	ModuleMute         Code = 4002
	ModuleQuarantined  Code = 4003
	ModuleRefused      Code = 4004
	ModuleUnread       Code = 4005
	BankKeyRefused     Code = 4006
	TestKeys           Code = 4007
	BankMACWrong       Code = 4008
	CardAlarm          Code = 5001
	CardUnread         Code = 5002
	OfflineWaits       Code = 5003
	NotReloaded        Code = 6001
	HandOverFailed     Code = 6002
	StopUnorderly      Code = 6003
	SystemdUntold      Code = 6004
	LateDoors          Code = 6005
	DoorClosed         Code = 6006
	ConsoleFault       Code = 6007
	DayNotCut          Code = 6008
	WorkerCrashed      Code = 6101
	WorkerHung         Code = 6102
	WorkerTooLarge     Code = 6103
	WorkerLate         Code = 6104
	CrashLoop          Code = 6105
	WorkerStuck        Code = 6106
	TraceUnsaved       Code = 6107
)

const tableSize = 54

// table is in the order of the codes.
var table = []Fault{
	{JournalFailed, true, "流水写盘失败，进程须退出", "the journal could not be written: the process must end",
		"看磁盘与文件系统日志；磁盘正常后重启，启动时从磁盘恢复，不丢账", "look at the disk and the kernel's log; start again once the disk is well: the start recovers from it, nothing is lost"},
	{JournalUnread, true, "流水读取失败，该笔交易以 96 拒绝", "the journal could not be read: the request was refused with 96",
		"运行 switch journal verify；若报损坏，停机并从备份恢复", "run switch journal verify; if it finds damage, stop and restore the backup"},
	{StoreComplains, false, "存储引擎报告错误", "the store engine reports an error",
		"若随后出现 TK-1001，按其处理；否则看磁盘空间与延迟", "when TK-1001 follows, do what it says; else look at the disk's space and delays"},
	{DiskNearlyFull, true, "数据盘将满，拒绝新交易，冲正照常", "the data disk is nearly full: new requests are refused, reversals are not",
		"腾出空间或扩容；高于 journal.reserve 的 1.25 倍后自动恢复", "make room; above 1.25 times journal.reserve it recovers by itself"},
	{SpaceUnknown, true, "无法得知数据盘剩余空间", "the free space of the data disk is not known",
		"看数据目录是否仍挂载、可读", "see whether the data folder is still mounted and readable"},
	{AuditBroken, true, "审计文件被改动，已另存", "the audit file was changed by others: it was put aside",
		"保全日志中所指文件并查明何人所为", "keep the file that the log names, and find out who did it"},
	{NotAudited, true, "未能写入审计", "an act or alert could not be written into the audit file",
		"看磁盘与文件权限；事由见日志", "look at the disk and the file's mode; what it was stands in the log"},
	{RegistryUnsaved, false, "签到状态未存入登记库，流水中已有", "sessions were not saved in the registry's store; the journal has them",
		"自动重试；反复出现则看磁盘", "it tries again; when it stays, look at the disk"},
	{TotalsUnread, true, "批次合计读取失败，该批以流水为准", "the totals of a batch could not be read",
		"运行 switch journal verify；该批结算须人工核对", "run switch journal verify; have the batch's settlement looked at"},
	{DiskSlow, true, "磁盘落盘缓慢，全部交易随之等待", "the disk was slow to write: all transactions waited for it",
		"看指标 tongka_journal_commit_seconds 与磁盘、虚拟机宿主的负载；流水宜独占磁盘", "look at tongka_journal_commit_seconds and at the load of the disk and of the machine's host; give the journal a disk of its own"},
	{FrameRefused, false, "终端报文无法解析", "a terminal's frame could not be read",
		"switch ctl frames 看最后一帧与出错的域、字节", "switch ctl frames shows the last one, with field and byte"},
	{RequestRefused, false, "终端请求被拒绝：未登记、MAC 错等", "a terminal's request was refused: not registered, a wrong MAC and the like",
		"看日志中的 why；同一终端反复出现则查其登记与密钥", "the log line says why; if one terminal keeps at it, check its registration and keys"},
	{NoSlot, true, "在途交易已满，新请求以 96 拒绝", "all slots are in use: new requests are refused with 96",
		"看银行与加密机是否变慢；必要时加大 limits.in_flight", "see whether banks or modules are slow; raise limits.in_flight if it must be"},
	{AcceptFailed, true, "无法接受新连接", "connections cannot be accepted",
		"多为文件描述符不足：提高 LimitNOFILE", "most often descriptors have run out: raise LimitNOFILE"},
	{NotEnrolled, false, "新连接未能交给事件循环", "a connection did not reach its event loop",
		"偶发可忽略；反复出现则看描述符与内存", "once is nothing; if it stays, look at descriptors and memory"},
	{AnswerLost, true, "应答无法组包，终端将重发或冲正", "an answer could not be made: the terminal will repeat or reverse",
		"程序缺陷或方言配置不符：带日志报告", "a fault of the program or of the dialect: report it with the log"},
	{BatchUnequal, false, "批结算不平", "a batch does not balance",
		"switch ctl batches 列出各项差错", "switch ctl batches lists what differs"},
	{LinkLost, false, "银行线路断开", "a bank line was lost",
		"自动重连；全部线路断开时控制台报隔离", "it is dialled again; with all lines gone the console says so"},
	{LinkUnreachable, true, "银行线路连不上", "a bank line cannot be reached",
		"看地址、路由、防火墙与对端", "look at the address, the route, the firewall and the other side"},
	{LineRefusedTwice, false, "线路仍在用时对端又来连接，已拒绝", "a peer dialled a line that is in use: refused",
		"若对端已断而未知，90 秒静默后自动让位", "if the old line is dead, it gives way after 90 s of silence"},
	{BankFrameRefused, true, "银行报文无法解析", "a bank's frame could not be read",
		"switch ctl frames 看最后一帧；核对方言", "switch ctl frames shows the last one; compare the dialect"},
	{BankRefusal, true, "银行拒绝签到、回响或网络管理", "a bank refused a sign-on, an echo or the like",
		"按日志中的应答码与银行核对", "ask the bank about the code in the log"},
	{BankUnknownNetwork, false, "银行发来未知的网络管理报文，已答 40", "a bank sent a network message that is not known: answered 40",
		"与银行核对 F70", "ask the bank about its F70"},
	{DebtParked, true, "冲正或通知投递用尽次数，已挂起", "a reversal or advice used up its attempts: parked",
		"switch saf list；与银行核对后 release 或 settle", "switch saf list; agree with the bank, then release or settle it"},
	{DebtUnrendered, true, "冲正或通知无法组包", "a reversal or advice could not be made",
		"程序缺陷或方言配置不符：带日志报告，欠款仍在", "a fault of the program or of the dialect: report it; the debt stays"},
	{RequestUnrendered, true, "发往银行的请求无法组包，到时超时", "a request to a bank could not be made: it will time out",
		"程序缺陷或方言配置不符：带日志报告", "a fault of the program or of the dialect: report it with the log"},
	{DebtsHeld, false, "人工暂停、恢复或了结了欠款", "an operator held, released or settled debts",
		"见审计", "see the audit file"},
	{CutUntold, true, "银行未应答日切通知，不再重发", "a bank did not answer the notice of the day's end: it is not told again",
		"与银行核对营业日；switch day clock", "agree with the bank about the business day; switch day clock"},
	{ModuleLost, false, "加密机连接断开", "the line to a security module was lost",
		"自动重连；另有加密机时交易不受影响", "it is dialled again; with another module nothing is refused"},
	{ModuleMute, true, "加密机不应答，连接已关闭", "a security module does not answer: its line was closed",
		"看加密机负载与网络", "look at the module's load and at the network"},
	{ModuleQuarantined, true, "加密机被隔离", "a security module was put into quarantine",
		"按日志中的原因处理；LMK 不符须立即核对", "the log line has the reason; a wrong LMK must be looked at now"},
	{ModuleRefused, true, "加密机拒绝命令，该笔以 96 拒绝", "a security module refused a command: the request was refused with 96",
		"按日志中的错误码查手册；多为密钥不符", "look the code of the log line up in the manual; often a key does not fit"},
	{ModuleUnread, true, "加密机应答无法解析", "a security module's reply could not be read",
		"核对 hsm.commands 与消息头长度；switch ctl frames", "compare hsm.commands and the header's length; switch ctl frames"},
	{BankKeyRefused, true, "银行下发的密钥被拒绝", "a key that a bank brought was refused",
		"按日志中的 why 与银行核对 ZMK 与校验值", "the log line says why: compare ZMK and check value with the bank"},
	{TestKeys, true, "正在使用公开的测试 LMK", "the public test LMK is in use",
		"仅限测试；生产须用加密机", "for tests only; production wants security modules"},
	{BankMACWrong, true, "银行报文 MAC 错误或缺失，不予采信", "a bank's message had a wrong MAC or none: it is not believed",
		"与银行核对 zak 校验值、links[].mac；个别一笔可能是篡改", "compare the check value of zak and links[].mac with the bank; a single one may be a forgery"},
	{CardAlarm, true, "卡片圈存有异常或须人工处理", "a card load smells, or is for a person",
		"见审计中 card 各行", "see the lines \"card\" of the audit file"},
	{CardUnread, true, "卡片或订单记录读取失败", "the record of a card or an order could not be read",
		"运行 switch journal verify", "run switch journal verify"},
	{OfflineWaits, true, "报文上送的脱机记录尚未入库", "offline records that came in messages are not in their store yet",
		"记录已落盘，不会丢失，交换每两秒重试。看日志中的原因：库被 switch offline 占用、加密机无应答、offline 配置或名单有误。", "They are on disk and not lost, and are tried again every two seconds. The log line says why: switch offline is at the store, a module does not answer, or offline in the config, or one of its lists, is not right."},
	{NotReloaded, true, "新配置未加载，旧配置继续", "the new configuration was not loaded: the old one stays",
		"switch check 指出所有错误", "switch check names all that is wrong"},
	{HandOverFailed, true, "热重启失败，旧进程继续", "a hot restart failed: the old process goes on",
		"看新进程日志；修复后再试", "see the new process's log; try again when it is mended"},
	{StopUnorderly, false, "未能有序停机，未完成者下次启动时处理", "the stop was not in order; the next start closes what was open",
		"无须处理；反复出现则加大 stop.deadline", "nothing to do; if it stays, raise stop.deadline"},
	{SystemdUntold, false, "未能通知 systemd", "systemd could not be told",
		"看 NOTIFY_SOCKET 与 NotifyAccess", "look at NOTIFY_SOCKET and NotifyAccess"},
	{LateDoors, false, "银行或加密机未就绪即已开门", "the doors were opened before all banks and modules were there",
		"看相应线路", "look at their lines"},
	{DoorClosed, true, "控制台或管理接口停止服务", "the console or the admin door stopped serving",
		"热重启可恢复", "a hot restart brings it back"},
	{ConsoleFault, false, "控制台请求或数据有误", "a request to the console, or its figures, were faulty",
		"偶发可忽略", "once is nothing"},
	{DayNotCut, true, "到时未能日切，营业日仍开着", "the business day was not cut when it was due: it stays open",
		"看日志中的原因、时钟与 data/cuts；switch ctl day cut", "look at the log line, the clock and data/cuts; switch ctl day cut"},
	{WorkerCrashed, true, "工作进程崩溃，已重启", "the worker crashed and is started again",
		"看数据目录 crash/last.txt", "see crash/last.txt in the data folder"},
	{WorkerHung, true, "工作进程失去心跳，已杀死并重启", "the worker missed its heartbeat: killed and started again",
		"crash/last.txt 中有全部协程的栈；多为磁盘停顿", "crash/last.txt has all goroutines; most often a disk that stalls"},
	{WorkerTooLarge, true, "工作进程超出内存上限，已重启", "the worker went over its memory limit and is started again",
		"核对 switch check 的内存之和与 supervisor.memory", "compare the sum of switch check with supervisor.memory"},
	{WorkerLate, true, "工作进程未按时就绪，已杀死并重启", "the worker was not ready in time: killed and started again",
		"看日志中恢复到何处；必要时加大 supervisor.start_timeout", "the log says how far recovery was; raise supervisor.start_timeout if it must be"},
	{CrashLoop, true, "工作进程接连崩溃，等待后再启动", "the worker crashes again and again: it waits before the next start",
		"看 crash/last.txt；switch ctl 不可用期间不服务", "see crash/last.txt; nothing is served meanwhile"},
	{WorkerStuck, true, "工作进程未按时停机，已杀死", "the worker did not stop in time: killed",
		"下次启动时恢复；看 stop.deadline", "the next start recovers; look at stop.deadline"},
	{TraceUnsaved, true, "崩溃记录未能写入", "the trace of a crash could not be written",
		"看数据目录的权限与空间", "look at the mode and the space of the data folder"},
}
