-- Systems that tell of an institution's professionals are known by their certificates alone (HCA-3.7, RFC 8705).
-- +goose Up
CREATE INDEX api_clients_thumbprint ON api_clients (thumbprint);
CREATE UNIQUE INDEX api_clients_staffing ON api_clients (thumbprint) WHERE kind = 'staffing';

-- +goose Down
DROP INDEX api_clients_staffing;
DROP INDEX api_clients_thumbprint;
