package config

import (
	"fmt"
	"slices"

	"tongka/router"
)

// TerminalDay says how the days of terminals go.
type TerminalDay struct {
	ForeignBINs    []string   `json:"foreign_bins,omitempty" jsonschema:"结算时计为外卡的卡号前缀或号段，空则全为内卡 · card number prefixes or ranges that count as another country's in a settlement; none when left out"`
	CountVoided    bool       `json:"count_voided,omitempty" jsonschema:"已撤销的消费仍计入借记 · a sale that was voided stays among the debits"`
	ShortMAKGroups []int      `json:"short_mak_groups,omitempty" range:"0,65535" jsonschema:"MAC 密钥为单倍长的终端组（16 字节位置后 8 字节补零） · groups of terminals whose MAC key has 8 bytes, in a place of 16"`
	Signals        string     `json:"signals,omitempty" jsonschema:"下载应答 F62 首字节：无、末块、还有，三个字符 · first byte of F62 in a download's answer: nothing, last block, more; three characters"`
	KeyAsk         []int      `json:"key_ask,omitempty" range:"1,999" jsonschema:"终端请求下载主密钥的 F60.3（F60.1 为 99），缺省 3、380 · F60.3 by which terminals ask for a master key (F60.1 is 99); 3 and 380 when left out"`
	KeyTaken       []int      `json:"key_taken,omitempty" range:"1,999" jsonschema:"终端确认主密钥已装入的 F60.3，缺省 381、401 · F60.3 by which they say that they hold it; 381 and 401 when left out"`
	Downloads      []Download `json:"downloads,omitempty" jsonschema:"终端下载的数据 · what terminals load"`
}

// Download is a file that terminals load in blocks.
type Download struct {
	Code    int    `json:"code" range:"101,398" jsonschema:"网络管理码 F60.3：360 参数、370 公钥、373 国密公钥、380 IC 参数、390 黑名单、394/396/398 非接与免密、101 初始化 · F60.3 of the request: 360 parameters, 370 CA keys, 373 SM2 CA keys, 380 IC parameters, 390 blacklist, 394/396/398 contactless and small amounts, 101 initialisation"`
	File    string `json:"file" jsonschema:"数据文件，按原字节下发，相对于本文件 · the data, sent as it is; relative to this file"`
	Version string `json:"version,omitempty" jsonschema:"版本，与状态上送比较 · version, compared with what a terminal says it holds"`
	Groups  []int  `json:"groups,omitempty" range:"0,65535" jsonschema:"终端组，空为全部 · groups of terminals, all when left out"`
	Block   int    `json:"block,omitempty" range:"16,998" jsonschema:"每块最多字节，不超过 F62 · bytes in a block at most, and no more than F62 holds"`
}

func (d *Download) start() { d.Block = 255 }

// loadCodes are those that ask for a block.
var loadCodes = []int{101, 360, 370, 373, 380, 390, 394, 396, 398}

const maxDownloadVersion = 31

// day looks for ranges that are none and downloads that nobody can ask for.
func (r *reader) day(c *Config) {
	each(r, "day.foreign_bins", c.Day.ForeignBINs, func(s string) error { _, err := router.ParseRange(s); return err })
	if s := c.Day.Signals; len(s) != 3 || s[0] == s[1] || s[0] == s[2] || s[1] == s[2] {
		r.faultAt("day.signals", "须为三个不同的单字节字符 · three different characters of one byte wanted", `"012"`)
	}
	if (len(c.Day.KeyAsk) == 0) != (len(c.Day.KeyTaken) == 0) {
		r.faultAt("day.key_ask", "key_ask 与 key_taken 须同时给出 · key_ask and key_taken go together", "")
	}
	for _, code := range c.Day.KeyTaken {
		if slices.Contains(c.Day.KeyAsk, code) {
			r.faultAt("day.key_taken", fmt.Sprintf("%d 也在 key_ask 中 · %d stands in key_ask, too", code, code), "")
		}
	}
	for i := range c.Day.Downloads {
		d, path := &c.Day.Downloads[i], fmt.Sprintf("day.downloads[%d]", i)
		r.filled(path+".file", d.File)
		if p := r.at[path+".code"]; !slices.Contains(loadCodes, d.Code) && !r.faulty(p) && r.has(path+".code") {
			r.faultAt(path+".code", fmt.Sprintf("没有下载码 %d · no download has the code %d", d.Code, d.Code), "360, 370, 373, 380, 390, 394, 396, 398, 101")
		}
		if len(d.Version) > maxDownloadVersion {
			r.faultAt(path+".version", fmt.Sprintf("至多 %d 个字符 · at most %d characters", maxDownloadVersion, maxDownloadVersion), "")
		}
	}
}
