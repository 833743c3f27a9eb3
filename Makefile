# Tongka 通卡. `make help` lists the targets · 列出所有目标
GO ?= go

.PHONY: help demo test tshark check bench profile figures front storm saf clearing clearspeed postgres fuzz sim sim-mutants soak faults power picture schema build

help: ## this list · 本列表
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: ## one switch, terminals, two banks and an HSM, playing for 20 s · 演示 20 秒
	$(GO) run ./cmd/switch demo --for 20s

test: ## vet, staticcheck and all tests under the race detector · 全部测试
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test -race -timeout 20m ./...
	@if command -v tshark >/dev/null; then $(MAKE_COMMAND) --no-print-directory tshark; else echo "tshark is not installed: make tshark is left out"; fi

tshark: ## what goes to a bank, read by wireshark's dissector (apt-get install tshark) · 由 wireshark 校验
	$(GO) vet -tags tshark ./codec/iso8583/explain/capture
	$(GO) test -count=1 -tags tshark -run Tshark ./codec/iso8583/explain/capture

build: ## bin/switch
	$(GO) build -o bin/switch ./cmd/switch

bench: ## the switch, a raw relay and others in turns, and the clearing; fails when a goal is missed · 与裸转发等轮流压测，并测清分，未达标即失败
	@missed=0; \
	$(GO) run ./cmd/switch bench --pairs 5 --json bench/out/latest.json --html bench/out/latest.html --hgrm bench/out --goals bench/goals.yaml || missed=1; \
	$(MAKE_COMMAND) --no-print-directory clearspeed || missed=1; \
	$(MAKE_COMMAND) --no-print-directory clearing || missed=1; \
	exit $$missed

clearspeed: ## clear 10 million rows a side in 60 s and 512 MB, no more memory than with a million; a million as PostgreSQL does · 清分速度与内存，并与 PostgreSQL 比较
	@missed=0; $(GO) build -o bin/switch ./cmd/switch || exit 1; \
	bin/switch clear bench --rows 10000000 --json --max-seconds 60 --max-mb 512 --flat 1.25 || missed=1; \
	bin/switch clear bench --rows 1000000 --json --postgres auto --min-ratio 2 || missed=1; \
	exit $$missed

figures: ## the tables of both READMEs, from the last make bench · 以最近一次压测写出两份 README 的数表
	cp bench/out/latest.json bench/published.json
	$(GO) run ./cmd/switch bench table bench/published.json README.md README.zh-CN.md

SHAPE ?= A,D,W,C,M
profile: ## flame graphs of CPU and allocations of SHAPE (A,D,W,C,M) into bench/out · 各形态的 CPU 与分配火焰图
	$(GO) run ./cmd/switch bench --profile bench/out --shape $(SHAPE)

front: ## honest terminals beside slow senders and short-lived ones, and idle ones · 慢发送者、短连接与空闲终端
	$(GO) run ./cmd/switch bench --front --max-front-ratio 2 --idle 10000 --json bench/out/front.json

storm: ## sales beside ten times as many balance enquiries · 十倍查询风暴中的消费
	$(GO) run ./cmd/switch bench --storm --idle 0 --min-storm-ratio 0.95 --json bench/out/storm.json

saf: ## sales and memory beside a million debts, and how fast these are delivered · 百万欠款下的消费、内存与投递
	$(GO) run ./cmd/switch bench --saf --min-saf-ratio 0.9 --max-saf-memory 200 --min-deliveries 20000 --json bench/out/saf.json

postgres: ## clear a day as PostgreSQL does, on the same files; wants postgresql installed · 与 PostgreSQL 清同一日，须已安装
	$(GO) run ./cmd/switch clear bench --rows 1000000 --postgres auto --min-ratio 2

clearing: ## sales beside a run that clears a day of a million rows a side · 清算百万行的一日时的消费
	$(GO) run ./cmd/switch bench --clearing --day 1000000 --min-clearing-ratio 0.8 --json bench/out/clearing.json

FUZZTIME ?= 60s
fuzz: ## every fuzz target for FUZZTIME (60s) · 模糊测试
	@set -e; $(GO) list ./... | while read p; do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; \
	  done; done

SEEDS ?= 1050
sim: ## histories of 1000 transactions with crashes, SEEDS of them (1050), against the production code · 模拟验证
	$(GO) run ./cmd/switch sim world --seeds $(SEEDS) --transactions 1000 --json

sim-mutants: ## deliberate faults in the product, each of which the simulator must find · 变异检验
	$(GO) run ./tools/mutants

KILLS ?= 100
# Power cuts mount an ext4 image: root, and a kernel with loop devices. Without these there are none, and the last line says so.
CUTS ?= $(shell [ "$$(id -u)" = 0 ] && [ -e /dev/loop-control ] && echo 20 || echo 0)
MINUTES ?= 10
SUSTAIN ?= 30m
soak: ## hostile callers for MINUTES (10), a day's mix at 20,000/s for SUSTAIN (30m), many seeds of the tests that have some, then kill -9 under load, KILLS times (100), and power cuts, CUTS times (20 as root) · 敌意连接、持续负载、更多随机种子、强杀与断电演练
	$(GO) test -count=1 -v -timeout 60m ./cmd/switch -run KilledAnywhere -night.kill-step 1
	TONGKA_SOAK_MINUTES=$(MINUTES) $(GO) test -count=1 -v -timeout 60m -run TestFrontSoak ./node
	$(GO) run ./cmd/switch bench --sustain $(SUSTAIN) --rate 20000 --idle 0 --max-p99 10000 --json bench/out/sustain.json
	$(GO) test -count=1 -race -timeout 60m -run TestHistories ./sim/world -world.runs 100
	$(GO) test -count=1 -race -timeout 60m -run '^(TestChaos|TestEachTransactionIsInOneDay|TestValueOnCardIsValuePaid)$$' ./engine -chaos.runs 200 -more-seeds 5
	$(GO) run ./cmd/switch sim crash --kills $(KILLS) --power-cuts $(CUTS)

faults: ## every operation of the journal's disk fails once, in three ways, and a process and a power cut end there · 磁盘错误逐一注入
	@# A few at a time: what a broken journal leaves running stays until its process ends.
	for i in $$(seq 0 24); do $(GO) test -count=1 -v ./journal -run '^TestDiskErrors$$' -journal.fault-step 25 -journal.fault-from $$i || exit 1; done
	$(GO) test -count=1 -v ./journal -run TestDiskErrorsWhileOpening -journal.fault-step 1

power: ## power cuts of an ext4 image under load, CUTS times (20), as root · 断电演练
	$(GO) run ./cmd/switch sim crash --kills 0 --power-cuts $(CUTS)

picture: ## docs/console.png, by headless chromium (apt-get install chromium fonts-noto-cjk)
	$(GO) run ./tools/screenshot -demo -out docs/console.png -size 1400x1080

schema: ## config/schema.json from the config structs
	$(GO) generate ./config
