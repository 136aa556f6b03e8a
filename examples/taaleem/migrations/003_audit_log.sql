-- Who did what to which record: never what the record says.
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    user_id bigint REFERENCES users (id),
    action text NOT NULL,
    subject text,
    request_id text,
    client_address text
);

CREATE INDEX audit_log_subject ON audit_log (subject, at);
