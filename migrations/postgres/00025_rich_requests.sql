-- Whether access was asked for by authorization_details, which the token's answer then repeats (RFC 9396 section 7).
-- +goose Up
ALTER TABLE access_requests ADD COLUMN rich BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE oauth_tokens ADD COLUMN rich BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE oauth_tokens DROP COLUMN rich;
ALTER TABLE access_requests DROP COLUMN rich;
