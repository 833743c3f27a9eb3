package payshield

import (
	"fmt"

	"tongka/hsm"
)

// row is one host command: what is sent, what comes back behind the error code,
// and what a server does for it. Source of the layouts: payShield 9000/10K host
// command reference.
type row struct {
	code, request, response string
	do                      func(s *Server, f *Fields) hsm.Code
	warns                   bool // error 01 is a warning and the fields are there
}

// Parts of layouts that several commands share.
const (
	under   = "[ ; flag:1[01] ] master:K " // new hosts say which kind of master key, old ones mean a ZMK
	header  = "[ # usage:2A alg:1A use:1A kvn:2A exportable:1A nopt:2N ]"
	legacy  = "[ ; out:S scheme:S kcvtype:1[01] ]"
	pinFrom = "pin:16H from:2N "
	target  = "key2:Q " // with what its serial number is, when it is a base key
	serial2 = "{mark=* descriptor2:3H ksn2:D } "
	pinWide = "pin:I from:2N to:2N pan:12A [ ; account:*N ]" // format 48 wants the whole account
	pinBack = "max:2N {to=48 pin:32H } {to=01|02|03|04|05|34|35|47 pin:16H } to:2N"
	ibm     = "check:2N pan:12A table:16H validation:12A "
	mac     = "mode:1[0123] in:1[012] size:1[01] alg:1[1356] pad:1[0123] type:3H key:K {mode=2|3 iv:I } len:4H(data) data:@ "
)

// rows are all commands that are known. What a machine has beyond them, or
// otherwise, is given to Dialect.Define.
var rows = []row{
	{"NC", "", "kcv:16H firmware:9A", diagnose, false},
	{"NO", "mode:2N", "buffer:1A net:1A sockets:2N firmware:9A reserved:5A", status, false},
	{"B2", "len:4H(data) data:@", "data:*B", echo, false},

	{"A0", "mode:1[01] type:3H scheme:S {mode=1 " + under + "out:S variant:?2N } " + header, "key:K {mode=1 export:K } kcv:6H", generateKey, false},
	{"A6", "type:3H " + under + "key:K scheme:S variant:?2N " + header, "key:K kcv:6H", importKey, true},
	{"A8", "type:3H " + under + "key:K scheme:S variant:?2N " + header, "export:K kcv:6H", exportKey, false},
	{"BU", "type2:2H length:1A key:K {type2=FF ; type:3H } [ ; reserved:2A kcvtype:1[01] ]", "kcv:*H", checkValue, false},
	{"KA", "key:K type2:2H [ ; reserved:2A kcvtype:1[01] ]", "kcv:*H", checkValue, false},
	{"HC", "master:K " + legacy, "export:K key:K", generateFor(hsm.TMK, hsm.TMK), false},
	{"HA", "master:K " + legacy, "export:K key:K", generateFor(hsm.TAK, hsm.TMK), false},
	{"IA", "master:K " + legacy, "export:K key:K kcv:*H", generateFor(hsm.ZPK, hsm.ZMK), false},
	{"FI", "flag:1[01] master:K " + legacy, "export:K key:K kcv:*H", generateZone, false},
	{"AE", "master:K key:K " + legacy, "export:K", exportFor(hsm.TMK, hsm.TMK), false},
	{"AG", "master:K key:K " + legacy, "export:K", exportFor(hsm.TAK, hsm.TMK), false},
	{"GC", "master:K key:K variant:?2N " + legacy, "export:K kcv:*H", exportFor(hsm.ZPK, hsm.ZMK), false},
	{"FA", "master:K key:K variant:?2N [ ; reserved:1A scheme:S kcvtype:1[01] ]", "key:K kcv:*H", importZPK, true},

	{"CA", "key:K " + target + serial2 + "max:2N " + pinWide, pinBack, translate(hsm.TPK), false},
	{"CC", "key:K " + target + serial2 + "max:2N " + pinWide, pinBack, translate(hsm.ZPK), false},
	{"G0", "key:K " + target + "descriptor:3H ksn:D " + serial2 + pinWide, pinBack, translateDUKPT, false},
	{"JC", "key:K " + pinFrom + "pan:12A", "lpin:*N", pinToLMK(hsm.TPK), false},
	{"JE", "key:K " + pinFrom + "pan:12A", "lpin:*N", pinToLMK(hsm.ZPK), false},
	{"JG", "key2:K to:2N pan:12A lpin:*N", "pin:16H", pinFromLMK, false},
	{"BA", "lpin:-12A pan:12A", "lpin:*N", encryptClearPIN, false},
	{"DA", "key:K key2:K max:2N " + pinFrom + ibm + "offset:12A", "", verifyOffset(hsm.TPK), false},
	{"EA", "key:K key2:K max:2N " + pinFrom + ibm + "offset:12A", "", verifyOffset(hsm.ZPK), false},
	{"DE", "key:K lpin:-42N " + ibm, "offset:12A", makeOffset, false},
	{"DC", "key:K key2:V " + pinFrom + "pan:12A pvki:1N pvv:4N", "", verifyPVV(hsm.TPK), false},
	{"EC", "key:K key2:V " + pinFrom + "pan:12A pvki:1N pvv:4N", "", verifyPVV(hsm.ZPK), false},
	{"DG", "key:V lpin:-13N pan:12A pvki:1N", "pvv:4N", makePVV, false},
	{"BC", "key:K " + pinFrom + "pan:12A lpin:*N", "", comparePIN(hsm.TPK), false},
	{"BE", "key:K " + pinFrom + "pan:12A lpin:*N", "", comparePIN(hsm.ZPK), false},
	{"CW", "key:V pan:;N len:4N service:3N", "cvv:3N", makeCVV, false},
	{"CY", "key:V cvv:3N pan:;N len:4N service:3N", "", verifyCVV, false},

	{"M0", "mode:2N in:1[012] out:1[012] type:3H key:K {mode=01|02|03 iv:I } len:4H(data) data:@", "{mode=01|02|03 next:I } len:4H(data) data:@", encryptData, false},
	{"M2", "mode:2N in:1[012] out:1[012] type:3H key:K {mode=01|02|03 iv:I } len:4H(data) data:@", "{mode=01|02|03 next:I } len:4H(data) data:@", decryptData, false},
	{"M4", "mode:2N mode2:2N in:1[012] out:1[012] type:3H key:K type2:3H key2:K {mode=01|02|03 iv:16H } {mode2=01|02|03 iv2:16H } len:4H(data) data:@",
		"{mode=01|02|03 next:16H } {mode2=01|02|03 next2:16H } len:4H(data) data:@", translateData, false},
	{"M6", mac, "{mode=1|2 next:I } {mode=0|3 mac:*H }", makeMAC, false},
	{"M8", mac + "{mode=0|3 {size=0 mac:8H } {size=1 mac:16H } }", "{mode=1|2 next:I }", verifyMAC, false},
	{"MS", "mode:1[0123] flag:1[01] keylen:1[01] in:1[01] key:K {mode=2|3 iv:16H } {in=0 len:4H(data) } {in=1 len:4H(data/2) } data:@", "mac:16H", makeMAB, false},
	{"MA", "key:K data:*B", "mac:8H", makeTerminalMAC, false},
	{"MC", "key:K mac:8H data:*B", "", verifyTerminalMAC, false},
	{"ME", "key:K key2:K mac:8H data:*B", "mac:8H", translateTerminalMAC, false},
	{"C2", "flag:1[01] key:K alg:1[01] in:1[01] mode:1[0123] len:4H(data) data:@ {mode=2|3 iv:16H }", "mac:16H", makeBlockMAC, false},
	{"C4", "flag:1[01] key:K alg:1[01] in:1[01] mode:1[03] len:4H(data) data:@ {mode=3 iv:16H } mac:16H", "", verifyBlockMAC, false},

	{"KQ", "mode:1[01234] scheme:1A key:K {mode=3|4 key2:K } pan:8B atc:2B un:4B {mode=0|1|3|4 len:2H(data) data:@ ; } arqc:8B " +
		"{mode=1|2|4 arc:2B } {mode=3|4 mac:4B length:2H(auth) auth:@ }", "{mode=1|2|4 arpc:8B }", chip, false},
	{"KW", "mode:1[01234] scheme:1[0123] key:K {scheme=0|1 ivac:16B } {scheme=0|2 pan:8B } {scheme=1|3 length:2N(pan) pan:@ ; } {scheme=0|1 tree:1[01] } atc:2B " +
		"{mode=0|1|3 len:2H(data) data:@ ; } arqc:8B {mode=1|2 arc:2B } {mode=3|4 csu:4B authlen:1N(auth) auth:@ }", "{mode=1|2|3|4 arpc:8B }", chipEMV, false},
}

// optional are the commands of Chinese modules. Their layouts are known from one
// program each, so they are there only where a dialect defines them.
var optional = []row{
	// The message authentication of city cards: generate or verify by a key that is
	// derived from a card master key, perhaps by a session, or folded for a TAC.
	{"UB", "alg:1[XS] mode:1[12] scheme:1[0123] type:3H key:K divcount:1[012345] {divcount=1 div:16H } {divcount=2 div:32H } {divcount=3 div:48H } " +
		"{scheme=1|3 session:16H } pad:1[01] {alg=X iv:16H } {alg=S iv:32H } len:3N(data/2) data:@ length:2N {mode=2 mac:8H }", "{mode=1 mac:8H }", cardMAC, false},
	{"N0", "length:3N", "data:*H", randomNumber, false},
}

// command is a row that has been compiled.
type command struct {
	request, response []op
	do                func(s *Server, f *Fields) hsm.Code
	warns             bool
}

var commands = compileAll(rows)

// compileAll panics: a layout of the table is wrong from the first run on.
func compileAll(rows []row) map[[2]byte]*command {
	all := make(map[[2]byte]*command, len(rows))
	for i := range rows {
		c, err := rows[i].compile()
		if err != nil {
			panic(err)
		}
		all[[2]byte([]byte(rows[i].code))] = c
	}
	return all
}

func (r *row) compile() (*command, error) {
	request, err := compile(r.request)
	if err != nil {
		return nil, fmt.Errorf("payshield: command %s: request: %w", r.code, err)
	}
	response, err := compile(r.response)
	if err != nil {
		return nil, fmt.Errorf("payshield: command %s: response: %w", r.code, err)
	}
	return &command{request, response, r.do, r.warns}, nil
}

// Layout is how a module differs from the manual in one command. Empty text
// leaves what is known.
type Layout struct{ Request, Response string }

// Define adds or changes a command: UB and N0 have to be defined to be there,
// every other known one may be. The error names the word that is wrong.
func (d *Dialect) Define(code string, l Layout) error {
	for _, table := range [][]row{optional, rows} {
		for _, r := range table {
			if r.code != code {
				continue
			}
			if l.Request != "" {
				r.request = l.Request
			}
			if l.Response != "" {
				r.response = l.Response
			}
			c, err := r.compile()
			if err != nil {
				return err
			}
			if d.own == nil {
				d.own = make(map[[2]byte]*command)
			}
			d.own[[2]byte([]byte(code))] = c
			return nil
		}
	}
	return fmt.Errorf("payshield: command %q is not known", code)
}

// command finds a command of this dialect; nil when there is none.
func (d *Dialect) command(code [2]byte) *command {
	if c := d.own[code]; c != nil {
		return c
	}
	return commands[code]
}
