-- What a holder's own app has signed was asked under no handle and is collected under no SAD: most rows, which need no place
-- in these indexes.
-- +goose Up
DROP INDEX signature_authorisations_handle;
DROP INDEX signature_authorisations_sad;
CREATE UNIQUE INDEX signature_authorisations_handle ON signature_authorisations (handle_hash) WHERE handle_hash IS NOT NULL;
CREATE UNIQUE INDEX signature_authorisations_sad ON signature_authorisations (sad_hash) WHERE sad_hash IS NOT NULL;

-- +goose Down
DROP INDEX signature_authorisations_handle;
DROP INDEX signature_authorisations_sad;
CREATE UNIQUE INDEX signature_authorisations_handle ON signature_authorisations (handle_hash);
CREATE UNIQUE INDEX signature_authorisations_sad ON signature_authorisations (sad_hash);
