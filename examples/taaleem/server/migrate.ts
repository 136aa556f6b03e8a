import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';

import { hashPassword } from '../lib/passwords';
import { Environment, loadEnvFile } from './config';

/** Of this application alone: any number that no other program on the database takes. */
const LOCK = 7_261_633;
const LOCK_TIMEOUT = '60s';
/** A DDL statement that waits for its table makes every later query wait behind it: give up early, the old release serves on. */
const TABLE_LOCK_TIMEOUT = '10s';
const SHORTEST_PASSWORD = 12;

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

function readMigrations(directory: string): Migration[] {
  const names = readdirSync(directory).filter((name) => name.endsWith('.sql')).sort();
  if (names.length === 0) throw new Error(`no migration in ${directory}`);
  return names.map((name) => {
    const sql = readFileSync(path.join(directory, name), 'utf8');
    return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

/** Unknown to this release are migrations of a newer one, after a rollback: they only add, so they are no concern. */
async function findPending(client: pg.Client, migrations: Migration[]): Promise<Migration[]> {
  const table = await client.query("SELECT to_regclass('schema_migrations') IS NOT NULL AS present");
  if (!table.rows[0].present) return migrations;
  const { rows } = await client.query<{ name: string; checksum: string }>('SELECT name, checksum FROM schema_migrations');
  const applied = new Map(rows.map((row) => [row.name, row.checksum]));
  for (const { name, checksum } of migrations) {
    const known = applied.get(name);
    if (known !== undefined && known !== checksum) throw new Error(`migration ${name} was changed after it had been applied; add a new one instead`);
  }
  return migrations.filter(({ name }) => !applied.has(name));
}

async function apply(client: pg.Client, migrations: Migration[]): Promise<string[]> {
  await client.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
  await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
  await client.query(`SET LOCAL lock_timeout = '${TABLE_LOCK_TIMEOUT}'`);
  await client.query("SET LOCAL client_min_messages = 'warning'");
  await client.query(
    'CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const pending = await findPending(client, migrations);
  for (const { name, sql, checksum } of pending) {
    await client.query(sql);
    await client.query('INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)', [name, checksum]);
  }
  return pending.map(({ name }) => name);
}

/** The first user, without whom nobody could log in. Later runs leave it alone: it may have been changed since. */
async function ensureAdministrator(client: pg.Client): Promise<boolean> {
  const username = (process.env.ADMIN_USERNAME || 'admin').toLowerCase();
  const { rowCount } = await client.query('SELECT 1 FROM users WHERE username = $1', [username]);
  if (rowCount) return false;
  const password = process.env.ADMIN_PASSWORD ?? '';
  if (password.length < SHORTEST_PASSWORD) {
    throw new Error(`user ${username} does not exist yet: set ADMIN_PASSWORD, at least ${SHORTEST_PASSWORD} characters`);
  }
  await client.query('INSERT INTO users (username, name, password_hash) VALUES ($1, $2, $3)', [username, 'Administrator', await hashPassword(password)]);
  return true;
}

async function main(): Promise<void> {
  loadEnvFile();
  const env = new Environment(process.env);
  const connectionString = env.url('MIGRATION_DATABASE_URL', ['postgres:', 'postgresql:'], process.env.DATABASE_URL);
  env.finish();
  const client = new pg.Client({ connectionString, application_name: 'taaleem-migrate', connectionTimeoutMillis: 20_000 });
  await client.connect();
  try {
    const migrations = readMigrations(path.join(__dirname, 'migrations'));
    if (process.argv.includes('--check')) {
      const pending = await findPending(client, migrations);
      console.log(JSON.stringify({ pending: pending.map(({ name }) => name) }));
      return;
    }
    // One transaction for all: whole or nothing, and safe through a pooler, as the lock ends with it.
    await client.query('BEGIN');
    const applied = await apply(client, migrations);
    const administrator = await ensureAdministrator(client);
    await client.query('COMMIT');
    console.log(JSON.stringify({ applied, administrator_created: administrator }));
  } finally {
    await client.end(); // an open transaction is rolled back
  }
}

main().catch((error: unknown) => {
  console.error(JSON.stringify({ error: error instanceof Error ? error.message : 'unknown' }));
  process.exit(1);
});
