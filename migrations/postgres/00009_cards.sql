-- Who an IC card belongs to (HCA-5.1.1, HCA-7.3), and what a counter read of one (HCA-8.1.2).
-- +goose Up
-- The card that a person signs with. One that was changed stays as a closed row.
CREATE TABLE person_cards (
    id            TEXT PRIMARY KEY,
    person_id     TEXT NOT NULL REFERENCES persons (id),
    holder_hash   BYTEA NOT NULL,          -- keyed, as persons.holder_hash is
    holder_sealed BYTEA NOT NULL,
    document      TEXT NOT NULL,          -- the kind of identity document that was checked
    digits        BOOLEAN NOT NULL,       -- the card carries the end of the national id, and it was compared
    checked_by    TEXT NOT NULL,
    checked_at    TIMESTAMPTZ NOT NULL,
    approval      TEXT NOT NULL,          -- of a change: the proposal that two persons decided
    ended_at      TIMESTAMPTZ
);
CREATE UNIQUE INDEX person_cards_now ON person_cards (person_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX person_cards_holder ON person_cards (holder_hash) WHERE ended_at IS NULL;

-- A card's certificate as the component at a counter gave it: a hint, by which nothing is trusted.
CREATE TABLE card_readings (
    id            TEXT PRIMARY KEY,
    read_by       TEXT NOT NULL,
    read_at       TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    insertion     TEXT NOT NULL,          -- asserted by the component
    holder_sealed BYTEA NOT NULL,
    name_sealed   BYTEA NOT NULL,
    digits_sealed BYTEA NOT NULL
);
CREATE INDEX card_readings_expiry ON card_readings (expires_at);

-- +goose Down
DROP TABLE card_readings;
DROP TABLE person_cards;
