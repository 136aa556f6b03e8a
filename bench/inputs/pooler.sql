-- A database with what the role `postgresql` gives PgBouncer. It lives for minutes, on a network of its own.
CREATE ROLE bench LOGIN PASSWORD 'bench-only';
CREATE ROLE pgbouncer_auth LOGIN PASSWORD 'bench-only';
CREATE DATABASE bench OWNER bench;
\c bench
CREATE SCHEMA pgbouncer;
CREATE FUNCTION pgbouncer.get_auth(name text) RETURNS TABLE (username text, password text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = name AND rolcanlogin AND NOT rolsuper $$;
GRANT USAGE ON SCHEMA pgbouncer TO pgbouncer_auth;
