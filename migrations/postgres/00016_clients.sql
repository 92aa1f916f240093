-- The systems of institutions that call the window, and what they are granted (HCA-5.1.2, HCA-6.3.5; RFC 6749, RFC 8705).
-- +goose Up
CREATE TABLE api_clients (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,                  -- what it calls: signing
    name        TEXT NOT NULL,                  -- as holders are shown it
    institution TEXT NOT NULL,
    scopes      TEXT NOT NULL,                  -- JSON array of scopes of use
    redirects   TEXT NOT NULL,                  -- JSON array of addresses, each compared whole
    thumbprint  TEXT NOT NULL,                  -- SHA-256 of its certificate, base64url
    not_after   TIMESTAMPTZ NOT NULL,              -- of that certificate
    active      BOOLEAN NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);

-- Authorization codes and access tokens, by their hashes.
CREATE TABLE oauth_tokens (
    hash             BYTEA PRIMARY KEY,
    kind             TEXT NOT NULL,             -- code, access
    grant_id         TEXT NOT NULL,             -- a code and what came of it have the same
    client           TEXT NOT NULL,
    scope            TEXT NOT NULL,             -- service, credential
    person_id        TEXT NOT NULL,             -- the holder who granted it; empty: the client's own
    authorisation_id TEXT NOT NULL,             -- what a credential token collects
    redirect         TEXT NOT NULL,
    challenge        TEXT NOT NULL,             -- of PKCE
    thumbprint       TEXT NOT NULL,             -- of the certificate that the token is bound to
    created_at       TIMESTAMPTZ NOT NULL,
    expires_at       TIMESTAMPTZ NOT NULL,
    ended_at         TIMESTAMPTZ                   -- a code was used, a token revoked
);
CREATE INDEX oauth_tokens_grant ON oauth_tokens (grant_id);
CREATE INDEX oauth_tokens_expiry ON oauth_tokens (expires_at);

-- What holders are asked on a page of ours and answer on their phones.
CREATE TABLE access_requests (
    id               TEXT PRIMARY KEY,
    browser_hash     BYTEA NOT NULL,             -- of what the browser that asked keeps
    client           TEXT NOT NULL,
    redirect         TEXT NOT NULL,
    scope            TEXT NOT NULL,
    state            TEXT NOT NULL,             -- the client's own word
    challenge        TEXT NOT NULL,
    person_id        TEXT NOT NULL,             -- empty: nobody has the name that was given
    authorisation_id TEXT NOT NULL,
    short_code       TEXT NOT NULL,
    standing         TEXT NOT NULL,             -- pending, approved, denied, done
    created_at       TIMESTAMPTZ NOT NULL,
    expires_at       TIMESTAMPTZ NOT NULL
);
CREATE INDEX access_requests_person ON access_requests (person_id, id) WHERE standing = 'pending';
CREATE INDEX access_requests_expiry ON access_requests (expires_at);

-- +goose Down
DROP TABLE access_requests;
DROP TABLE oauth_tokens;
DROP TABLE api_clients;
