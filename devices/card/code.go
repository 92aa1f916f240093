package card

import (
	"errors"
	"fmt"
	"strconv"
)

// Code is a ret_code of the protocol. It travels as a JSON number.
type Code uint32

// Codes that this component answers with. Pages hold tables of them, so they are never renumbered.
const (
	CodeOK              Code = 0
	CodeNoData          Code = 0x76000003 // tbs missing or empty
	CodeNoCard          Code = 0x76000006 // also: the card was taken out
	CodeTooLarge        Code = 0x7600000A
	CodeBadJSON         Code = 0x7600000B
	CodeBadParameter    Code = 0x7600000C
	CodeTimeout         Code = 0x7600000D // the library did not answer, or is busy
	CodeUnsupported     Code = 0x7600000E
	CodeForbiddenDomain Code = 0x7600000F
	CodeUntrustedSite   Code = 0x76000031
	CodePINEmpty        Code = 0x76000998
	CodeCancelled       Code = 0x76000999
	CodeModule          Code = 0x76100001
	CodeNoReader        Code = 0x76100003
	CodeReaderInfo      Code = 0x76100004
	CodeSession         Code = 0x76100005
	CodeLogin           Code = 0x76100006
	CodeKey             Code = 0x76100008
	CodeCertificate     Code = 0x76100009
	CodeCertNotFound    Code = 0x7610000C
	CodeKeyNotFound     Code = 0x7610000D
	CodeSignType        Code = 0x76300002
	CodeSignContent     Code = 0x76300003
	CodeSignFailed      Code = 0x76300004
	CodeNotYetValid     Code = 0x76500001
	CodeExpired         Code = 0x76500002
	CodeBase64          Code = 0x76600002
	lastErrorOneTryLeft      = -2147483647 // 0x80000001 as the pages read it
	lastErrorTwoTryLeft      = -2147483646
)

// Text says in both languages what a code means.
func (c Code) Text() string {
	if t, ok := codeTexts[c]; ok {
		return t
	}
	return fmt.Sprintf("錯誤 0x%08X / Error 0x%08X", uint32(c), uint32(c))
}

var codeTexts = map[Code]string{
	CodeNoData:          "沒有要簽的資料 / There is nothing to sign.",
	CodeNoCard:          "讀卡機中沒有卡片,或卡片已取出 / No card in the reader, or it was taken out.",
	CodeTooLarge:        "資料太大 / The data are too large.",
	CodeBadJSON:         "要求不是正確的 JSON / The request is not valid JSON.",
	CodeBadParameter:    "參數不正確 / A parameter is not acceptable.",
	CodeTimeout:         "卡片程式庫忙碌或沒有回應 / The card library is busy or does not answer.",
	CodeUnsupported:     "不支援這項功能 / This function is not supported.",
	CodeForbiddenDomain: "不允許加入這個網站 / This site may not be added.",
	CodeUntrustedSite:   "這個網站不在信任名單中 / This site is not on the list of trusted sites.",
	CodePINEmpty:        "沒有輸入 PIN / No PIN was given.",
	CodeCancelled:       "使用者取消 / Cancelled by the user.",
	CodeModule:          "無法使用卡片程式庫 / The card library cannot be used.",
	CodeNoReader:        "找不到讀卡機 / No card reader was found.",
	CodeReaderInfo:      "無法讀取讀卡機資訊 / The reader cannot be read.",
	CodeSession:         "無法與卡片連線 / No session with the card.",
	CodeLogin:           "卡片登入失敗 / Login to the card failed.",
	CodeKey:             "無法取得金鑰 / The key cannot be read.",
	CodeCertificate:     "無法取得憑證 / The certificate cannot be read.",
	CodeCertNotFound:    "找不到指定的憑證 / The named certificate was not found.",
	CodeKeyNotFound:     "找不到指定的金鑰 / The named key was not found.",
	CodeSignType:        "不支援的簽章類型 / This type of signature is not supported.",
	CodeSignContent:     "要簽的內容不正確 / The content to sign is not acceptable.",
	CodeSignFailed:      "簽章失敗 / Signing failed.",
	CodeNotYetValid:     "憑證尚未生效 / The certificate is not valid yet.",
	CodeExpired:         "憑證已過期 / The certificate has expired.",
	CodeBase64:          "base64 解碼失敗 / The base64 text cannot be decoded.",
}

// lastErrorText says what a last_error means, as far as the holder can do something about it.
func lastErrorText(v int64) string {
	switch v {
	case 0:
		return ""
	case rvPINIncorrect:
		return "PIN 錯誤 / The PIN is wrong."
	case rvPINLenRange:
		return "PIN 長度不符 / The PIN is too short or too long."
	case rvPINLocked:
		return "PIN 已鎖卡 / The PIN is locked."
	case lastErrorOneTryLeft:
		return "PIN 錯誤,還可再試一次 / The PIN is wrong; one try is left."
	case lastErrorTwoTryLeft:
		return "PIN 錯誤,還可再試兩次 / The PIN is wrong; two tries are left."
	}
	return "PKCS#11 0x" + strconv.FormatInt(v, 16)
}

// failure is an operation's end with a code. It is what every step below the HTTP handlers returns.
type failure struct {
	code      Code
	lastError int64
	cause     error // for the log; never holds a secret
}

func (f *failure) Error() string {
	s := fmt.Sprintf("0x%08X", uint32(f.code))
	if f.lastError != 0 {
		s += " last_error " + strconv.FormatInt(f.lastError, 10)
	}
	if f.cause != nil {
		s += ": " + f.cause.Error()
	}
	return s
}

func (f *failure) Unwrap() error { return f.cause }

// fail makes a failure; the CK_RV in cause, where there is one, becomes last_error.
func fail(code Code, cause error) *failure {
	f := &failure{code: code, cause: cause}
	var me *ModuleError
	if errors.As(cause, &me) {
		f.lastError = int64(me.RV)
	}
	return f
}

// failf makes a failure with a reason of its own.
func failf(code Code, format string, args ...any) *failure {
	return &failure{code: code, cause: fmt.Errorf(format, args...)}
}

// asFailure finds the failure in err; anything else is reported as code.
func asFailure(err error, code Code) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return fail(code, err)
}

func hexUint(v uint) string { return strconv.FormatUint(uint64(v), 16) }
