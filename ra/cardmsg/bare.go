package cardmsg

import (
	"context"
	"crypto"

	"certwindow/ra/cms"
)

// VerifyBare judges the other card component's answer: a bare PKCS #1 signature over the text, and the
// card's certificate beside it. The two are wrapped as SignedData without signed attributes, so that the
// evidence can be verified like any other's. o.Content must be the text, which is content here.
func VerifyBare(ctx context.Context, content, signature, cert []byte, o Options) (*Verified, error) {
	o.defaults()
	hash := o.Hash
	if hash == 0 {
		hash = crypto.SHA256
	}
	if len(content)+len(signature)+len(cert) > cms.MaxMessage {
		return nil, refuse(cms.ReasonTooLarge, o.Clause, "more than %d bytes", cms.MaxMessage)
	}
	der, err := cms.WrapBare(content, signature, cert, hash)
	if err != nil {
		return nil, passOn(err, o.Clause)
	}
	u, err := Decode(der)
	if err != nil {
		return nil, err
	}
	return u.VerifyBare(ctx, o)
}

// VerifyBare judges a message that VerifyBare wrapped. It is a path of its own because such a message
// proves less: it has no signing time, and nothing signed says that its content is a content. So the text
// has to be given, has to begin with one of our first lines, which no signed attributes can, and the life of
// its nonce is the only time there is.
func (u Unverified) VerifyBare(ctx context.Context, o Options) (*Verified, error) {
	o.defaults()
	if o.Content == nil {
		return nil, refuse(ReasonContentMissing, ClauseContent, "a bare signature is held against the issued text only")
	}
	if _, ok := PurposeOf(o.Content); !ok {
		return nil, refuse(ReasonPurpose, ClauseContent, "the text begins with none of our first lines")
	}
	sd, err := cms.OpenBare(u.der, cms.OpenOptions{Content: o.Content, OneReading: o.OneReading})
	if err != nil {
		return nil, passOn(err, o.Clause)
	}
	return judge(ctx, &Verified{sd: sd, bare: true}, o)
}
