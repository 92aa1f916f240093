package intake

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"strings"

	"certwindow/ra"
	"certwindow/ra/sheet"
)

// Columns are what each kind of table may hold, under the names that other systems give them as well.
var Columns = map[Kind][]sheet.Column{
	Persons: {
		{Name: "national_id", Required: true, Aliases: []string{"身分證字號", "身分證統一編號", "身分證號", "證號", "ID number", "national id number"}},
		{Name: "name", Required: true, Aliases: []string{"姓名", "full name"}},
		{Name: "holder", Required: true, Aliases: []string{"卡片識別碼", "憑證持有人識別碼", "holder id", "card id", "serial number"}},
		{Name: "email", Aliases: []string{"電子郵件", "信箱", "e-mail", "mail"}},
		{Name: "phone", Aliases: []string{"手機", "電話", "行動電話", "mobile"}},
		{Name: "locale", Aliases: []string{"語言", "language"}},
	},
	Devices: {
		{Name: "code", Required: true, Aliases: []string{"裝置代碼", "財產編號", "資產編號", "序號", "asset tag", "asset number", "serial number", "serialnumber", "device id"}},
		{Name: "platform", Required: true, Aliases: []string{"平台", "作業系統", "os", "operating system", "os type", "platform type"}},
		{Name: "model", Required: true, Aliases: []string{"型號", "機型", "device model", "model name", "product name"}},
		{Name: "shared", Aliases: []string{"共用", "shared device", "is shared"}},
		{Name: "users", Aliases: []string{"使用者", "user", "assigned user", "primary user", "user national id", "holders"}},
	},
	Staffing: {
		{Name: "person", Required: true, Aliases: []string{"身分證字號", "身分證統一編號", "卡片識別碼", "national id", "holder", "person id"}},
		{Name: "event", Required: true, Aliases: []string{"異動", "異動類別", "reason", "change"}},
		{Name: "date", Aliases: []string{"日期", "異動日期", "effective date"}},
	},
	Certificates: {
		{Name: "certificate", Required: true, Aliases: []string{"憑證", "cert", "pem", "der", "x509"}},
		{Name: "device", Aliases: []string{"裝置代碼", "device code", "code", "asset tag"}},
		{Name: "scope", Aliases: []string{"使用範圍", "範圍", "scopes"}},
		{Name: "key", Aliases: []string{"金鑰", "key design", "design"}},
	},
}

// notRead gives a table's error the words of the domain.
func notRead(err error) error {
	var e *sheet.Error
	if !errors.As(err, &e) {
		return err
	}
	return ra.Errorf(ra.KindMalformed, e.Code, err, "The file cannot be read as a table: %s. Nothing was changed.", e.Error())
}

// bundle makes rows of a PEM file or a ZIP of certificates, one of each; is tells whether it is one.
func bundle(raw []byte) (t sheet.Table, is bool, err error) {
	switch {
	case bytes.HasPrefix(raw, []byte("PK\x03\x04")):
		t, err = unzip(raw)
	case bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\uFEFF"))), []byte("-----BEGIN ")):
		t = blocks(raw)
	default:
		return t, false, nil
	}
	t.Encoding = "PEM"
	if err == nil && len(t.Rows) > sheet.MaxRows {
		err = ra.Errorf(ra.KindMalformed, "sheet-rows", nil, "The file holds more than %d certificates. Nothing was changed; bring it in parts.", sheet.MaxRows)
	}
	if err == nil && len(t.Rows) == 0 {
		err = ra.Errorf(ra.KindMalformed, "sheet-empty", nil, "The file holds nothing. Nothing was changed.")
	}
	return t, true, err
}

func blocks(raw []byte) (t sheet.Table) {
	for len(t.Rows) <= sheet.MaxRows {
		var b *pem.Block
		if b, raw = pem.Decode(raw); b == nil {
			return t
		}
		add(&t, b.Bytes)
	}
	return t
}

func add(t *sheet.Table, der []byte) {
	t.Rows = append(t.Rows, sheet.Row{Line: len(t.Rows) + 1, Cells: map[string]string{"certificate": base64.StdEncoding.EncodeToString(der)}})
}

// unzip reads the certificates of a ZIP, each file PEM or DER, whatever sizes its entries claim.
func unzip(raw []byte) (t sheet.Table, err error) {
	unreadable := ra.Errorf(ra.KindMalformed, "sheet-zip", nil, "The ZIP cannot be read, or holds more than can be taken in. Nothing was changed.")
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil || len(z.File) > sheet.MaxRows {
		return t, unreadable
	}
	left := int64(sheet.MaxBytes)
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		content, err := inside(f, left)
		if err != nil {
			return t, unreadable
		}
		left -= int64(len(content))
		if strings.HasPrefix(string(bytes.TrimSpace(content)), "-----BEGIN ") {
			for _, r := range blocks(content).Rows {
				t.Rows = append(t.Rows, sheet.Row{Line: len(t.Rows) + 1, Cells: r.Cells})
			}
			continue
		}
		add(&t, content)
	}
	return t, nil
}

func inside(f *zip.File, most int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(content)) > most {
		err = errors.New("too large")
	}
	return content, err
}
