package main

import (
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"

	"certwindow/ra/certpath"
)

// vectorFile is what the test reads of a file of Wycheproof.
type vectorFile struct {
	Algorithm string `json:"algorithm"`
	Groups    []struct {
		Type   string `json:"type"`
		Key    string `json:"publicKeyDer"`
		Hash   string `json:"sha"`
		MGF    string `json:"mgf"`
		MGFSHA string `json:"mgfSha"`
		Salt   int    `json:"sLen"`
		Tests  []struct {
			ID      int      `json:"tcId"`
			Comment string   `json:"comment"`
			Flags   []string `json:"flags"`
			Msg     string   `json:"msg"`
			Sig     string   `json:"sig"`
			Result  string   `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

var schemes = map[string]string{
	"RsassaPkcs1Verify": "pkcs1", "RsassaPssVerify": "pss", "RsassaPssWithParametersVerify": "pss", "EcdsaVerify": "ecdsa",
}

// TestWycheproof runs every vector for RSA PKCS #1, RSA-PSS and DER-encoded ECDSA through the code of verify
// signature: nothing invalid is accepted, and nothing valid is refused but for a hash, a curve, a PSS salt or
// an RSA size that is unsupported as such. What Wycheproof calls acceptable may be refused.
func TestWycheproof(t *testing.T) {
	total := tally{unsupported: map[string]int{}}
	err := fs.WalkDir(wycheproof.TestVectors, ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		if err != nil || !(strings.HasPrefix(base, "rsa_") || strings.HasPrefix(base, "ecdsa_")) {
			return err
		}
		data, err := fs.ReadFile(wycheproof.TestVectors, name)
		if err != nil {
			return err
		}
		var file vectorFile
		if err := json.Unmarshal(data, &file); err != nil {
			return err
		}
		total.run(t, base, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d vectors judged, %d accepted; %d of unsupported kinds, all refused: %v",
		total.ran, total.accepted, total.skipped, total.unsupported)
	if total.ran < 7000 || total.accepted < 2000 {
		t.Errorf("%d vectors were judged and %d accepted: most are missing", total.ran, total.accepted)
	}
}

// tally counts the vectors of a run.
type tally struct {
	ran, accepted, skipped int
	unsupported            map[string]int // groups, by why they are unsupported
}

// whyUnsupported says why no signature of a group is accepted, or "".
func whyUnsupported(scheme, hash, mgfHash string, salt int, key []byte) string {
	h, ok := hashNumber[hash]
	if !ok {
		return "hash " + hash
	}
	if scheme == "pss" && (mgfHash != hash || int64(salt) != h.length) {
		return "PSS with another mask or salt"
	}
	if scheme == "pss" {
		var err error
		if key, err = plainRSA(key, hash); err != nil {
			return err.Error()
		}
	}
	_, err := certpath.ParsePublicKey(key)
	return reasonOf(err)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (n *tally) run(t *testing.T, name string, file vectorFile) {
	t.Helper()
	for _, g := range file.Groups {
		scheme, ok := schemes[g.Type]
		if !ok {
			continue
		}
		hash, key := strings.ReplaceAll(g.Hash, "-", ""), unhex(t, g.Key)
		why := whyUnsupported(scheme, hash, strings.ReplaceAll(g.MGFSHA, "-", ""), g.Salt, key)
		if why != "" {
			n.unsupported[why]++
		}
		for _, c := range g.Tests {
			err := judgeSignature(key, scheme, hash, unhex(t, c.Msg), unhex(t, c.Sig))
			if why != "" {
				n.skipped++
				// A salt of another length than the group's may be the one that is wanted here.
				if err == nil && !strings.HasPrefix(c.Comment, "s_len changed") {
					t.Errorf("%s %d (%s): accepted, though %s", name, c.ID, c.Comment, why)
				}
				continue
			}
			n.ran++
			if err == nil {
				n.accepted++
			}
			if err == nil && c.Result == "invalid" {
				t.Errorf("%s %d (%s): accepted", name, c.ID, c.Comment)
			}
			if err != nil && c.Result == "valid" {
				t.Errorf("%s %d (%s): refused: %v", name, c.ID, c.Comment, err)
			}
		}
	}
}
