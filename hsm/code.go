package hsm

// Error codes of the payShield host command reference that the switch gives or
// looks at. A module behind a socket may answer others (key-block modules have
// codes with letters); they pass through unchanged.
var (
	Done          = Code{'0', '0'}
	Mismatch      = Code{'0', '1'} // a MAC or check that does not verify
	BadKeyType    = Code{'0', '4'}
	BadLengthFlag = Code{'0', '5'}
	BadKey        = Code{'1', '0'} // source key: parity wrong after decryption
	BadKey2       = Code{'1', '1'} // destination key: the same
	BadInput      = Code{'1', '5'} // format, characters, or not enough data
	BadPINBlock   = Code{'2', '0'}
	BadAccount    = Code{'2', '2'}
	BadFormat     = Code{'2', '3'} // PIN block format code
	BadPINLength  = Code{'2', '4'} // not 4 to 12 digits
	BadScheme     = Code{'2', '6'}
	BadKeyLength  = Code{'2', '7'}
	BadModule     = Code{'4', '1'} // internal fault, such as no random numbers
	Disabled      = Code{'6', '8'} // the command is not there
	BadDataLength = Code{'8', '0'}
	BadBlockMAC   = Code{'A', '2'} // a key block that does not authenticate
	BadUsage      = Code{'A', '8'} // a key block for another use
)

var codeText = map[Code]string{
	Done: "done", Mismatch: "verification failed", BadKeyType: "key type code not valid",
	BadLengthFlag: "key length flag not valid", BadKey: "source key parity error",
	BadKey2: "destination key parity error", BadInput: "input data not valid",
	BadPINBlock: "PIN block does not hold valid values", BadAccount: "account number not valid",
	BadFormat: "PIN block format code not valid", BadPINLength: "PIN not of 4 to 12 digits",
	BadScheme: "key scheme not valid", BadKeyLength: "key length does not fit",
	BadModule: "module fault", Disabled: "command not available", BadDataLength: "data length error",
	BadBlockMAC: "key block authentication failed", BadUsage: "key block not for this use",
}

// Error makes a code an error, so that a fault found before or beside a module
// says which answer it stands for (errors.As finds it).
func (c Code) Error() string {
	text := codeText[c]
	if text == "" {
		text = "not in the table"
	}
	return "hsm code " + string(c[:]) + ": " + text
}
