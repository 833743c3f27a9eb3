package payshield

import (
	"bytes"
	"testing"

	"tongka/hsm/soft"
)

// published are commands whose answers are printed elsewhere: the test suite of
// the Thales simulator library (facts only), captures of a payShield, and the
// standards they compute. All are under the public test LMK. The header is four
// characters.
var published = []struct{ name, command, response string }{
	{"NC, captured", "0001NC", "0001ND00" + "2686040000000000" + soft.Firmware},
	{"NC, vendor example", "1234NC", "1234ND00" + "2686040000000000" + soft.Firmware},
	{"CA double", "0001CAU8463435FC4B4DAA0C49025272C29B12CU1EF828AA8F6B80EB83E19FBC373F3A85126428EB94035AF53B0101550000025321",
		"0001CB000491DDDA0A7C12CFAA01"},
	{"CA to format 03", "0001CAU8463435FC4B4DAA0C49025272C29B12CU1EF828AA8F6B80EB83E19FBC373F3A85126428EB94035AF53B0103550000025321",
		"0001CB000482206CCD872229C203"},
	{"CA single", "0001CA0406FBB23A5214DFBAB32D775A38E4AB12AE7A708F877571A90101550000025321", "0001CB0004E98FFDA17099AF5501"},
	{"A8 single", "0001A8002U1457FF6ADF6250C66C368416B4C9D3837BB126F2BE631486Z", "0001A90016224FDAA779AFB31FFD3C"},
	{"A8 double", "0001A8002U1457FF6ADF6250C66C368416B4C9D383U8463435FC4B4DAA0C49025272C29B12CU",
		"0001A900U2C62A23D001B97412950CD8BE66C7639070753"},
	{"A6 scheme U", "0001A6001U71979DEB8587E2734F1E99D5DCAEF9ACU482C4E722BB0CF1845E1E5BD16310119U",
		"0001A700U0E07CDC0161A0DE3B5AA44DF227EC9DEABDEBC"},
	{"A6 scheme X", "0001A6001U71979DEB8587E2734F1E99D5DCAEF9ACXC8E3118AFA853807EB7E92294663A5BAU",
		"0001A700U1EF828AA8F6B80EB83E19FBC373F3A856F1E3F"},
	{"BU single", "0001BU0200406FBB23A5214DF", "0001BV000035BBE340A4B763"},
	{"BU double", "0001BU011U1EF828AA8F6B80EB83E19FBC373F3A85", "0001BV006F1E3F74F826B7EB"},
	{"FA", "0001FAU1457FF6ADF6250C66C368416B4C9D3832B930A07119F93A8", "0001FB00BAB32D775A38E4AB73936E441E46819D"},
	{"MA, X9.9", "0001MAC6F34693FB39CB6EgivemeSOMEMACing", "0001MB00170C2BDB"},
	{"MC", "0001MCC6F34693FB39CB6E170C2BDBgivemeSOMEMACing", "0001MD00"},
	{"M6, ICAO 9303 sample", "0001M601032003U19D25F349FD03CC3556BB05F65283CA10040" +
		"72C29C2371CC9BDB65B779B8E8D37B29ECC154AA56A8799FAE2F498F76ED92F2", "0001M7005F1448EE"},
}

func TestPublished(t *testing.T) {
	s := NewServer(soft.New(soft.TestLMK()), Dialect{HeaderLen: 4})
	for _, v := range published {
		t.Run(v.name, func(t *testing.T) {
			if got := s.Answer(nil, []byte(v.command)); string(got) != v.response {
				t.Errorf("\n got %s\nwant %s", got, v.response)
			}
			// The same with an LMK identifier and a trailer, but for the commands
			// whose last field has no end.
			if bytes.HasPrefix([]byte(v.command[4:]), []byte("M")) && v.command[5] != '6' {
				return
			}
			const trailer = "\x19trailer of 1 to 32 characters"
			if got := s.Answer(nil, []byte(v.command+"%00"+trailer)); string(got) != v.response+trailer {
				t.Errorf("with trailer:\n got %q\nwant %q", got, v.response+trailer)
			}
		})
	}
}
