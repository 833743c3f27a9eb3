package explain

import (
	"fmt"

	"tongka/codec/iso8583"
)

// chinese is a FieldError in Chinese; the codec itself says it in English.
func chinese(e *iso8583.FieldError) string {
	place := e.Place()
	switch e.Field {
	case 0:
		place = "消息类型"
	case 1:
		place = "位图"
	case iso8583.InLength:
		place = "长度前缀"
	case iso8583.InHeader:
		place = "报文头"
	}
	return fmt.Sprintf("%s，第 %d 字节：应为%s", place, e.Offset, expected(e))
}

func expected(e *iso8583.FieldError) string {
	switch e.Reason {
	case iso8583.Truncated:
		return fmt.Sprintf(" %d 字节，只剩 %d 字节", e.Want, e.Got)
	case iso8583.Trailing:
		return fmt.Sprintf("报文结尾，却还有 %d 字节", e.Got)
	case iso8583.BadDigit:
		return fmt.Sprintf("十进制数字，实为 %02X", e.Got)
	case iso8583.BadTrack:
		return fmt.Sprintf("磁道数字或分隔符（0-9 D =），实为 %02X", e.Got)
	case iso8583.BadHex:
		return fmt.Sprintf("十六进制数字，实为 %02X", e.Got)
	case iso8583.BadPad:
		return fmt.Sprintf("填充半字节 0 或 F，实为 %02X", e.Got)
	case iso8583.BadPrefix:
		return fmt.Sprintf("十进制长度，实为 %02X", e.Got)
	case iso8583.TooLong:
		return fmt.Sprintf("不超过 %d 的长度，实为 %d", e.Want, e.Got)
	case iso8583.WrongLength:
		return fmt.Sprintf("长度 %d，实为 %d", e.Want, e.Got)
	case iso8583.NotInDialect:
		return "本方言没有的域不出现"
	case iso8583.SecondBitmap:
		return "第 1 位为 0：本方言只有 64 个域"
	case iso8583.UnexpectedByte:
		return fmt.Sprintf(" %02X，实为 %02X", e.Want, e.Got)
	case iso8583.Unfit:
		return fmt.Sprintf("符合校验 %s 的值", iso8583.Check(e.Want))
	case iso8583.WrongTotal:
		return fmt.Sprintf("总长度 %d，实为 %d", e.Want, e.Got)
	}
	return "其他内容"
}
