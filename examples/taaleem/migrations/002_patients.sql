CREATE TABLE patients (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    full_name text NOT NULL CHECK (length(full_name) BETWEEN 1 AND 200),
    date_of_birth date NOT NULL,
    phone text CHECK (length(phone) <= 40),
    created_by bigint NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    idempotency_key text NOT NULL,
    UNIQUE (created_by, idempotency_key)
);

CREATE INDEX patients_newest ON patients (created_at DESC, id);

CREATE TABLE uploads (
    id uuid PRIMARY KEY,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    created_by bigint NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now()
);
