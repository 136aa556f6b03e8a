import type { Pool } from 'pg';

import { ApiError } from './api';
import { audit } from './audit';
import { inTransaction, isAway, withRetry } from './database';
import { describeError } from './errors';
import { runtime } from './runtime';

export interface Patient {
  id: string;
  fullName: string;
  dateOfBirth: string;
  phone: string | null;
  createdAt: string;
}

export interface NewPatient {
  fullName: string;
  dateOfBirth: string;
  phone: string | null;
}

export type Source = 'primary' | 'replica';

export interface PatientList {
  source: Source;
  /** True if the server that answered is a standby: what `source` asks for, this proves. */
  standby: boolean;
  items: Patient[];
}

const COLUMNS = `id, full_name AS "fullName", to_char(date_of_birth, 'YYYY-MM-DD') AS "dateOfBirth", phone, created_at AS "createdAt"`;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
export const LARGEST_PAGE = 100;

export function parsePatient(body: Record<string, unknown>): NewPatient {
  const fullName = typeof body.fullName === 'string' ? body.fullName.trim() : '';
  const dateOfBirth = typeof body.dateOfBirth === 'string' ? body.dateOfBirth : '';
  const phone = typeof body.phone === 'string' && body.phone.trim() ? body.phone.trim() : null;
  const problems: string[] = [];
  if (fullName.length < 1 || fullName.length > 200) problems.push('fullName: 1 to 200 characters');
  if (!isPastDate(dateOfBirth)) problems.push('dateOfBirth: a day in the past as YYYY-MM-DD');
  if (phone && !/^[+0-9 ()-]{3,40}$/.test(phone)) problems.push('phone: 3 to 40 digits, spaces, + ( ) -');
  if (problems.length > 0) throw new ApiError(422, 'invalid', problems.join('; '));
  return { fullName, dateOfBirth, phone };
}

/** Also refuses what Date would silently move, such as 30 February. */
function isPastDate(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  if (!DATE.test(text) || Number.isNaN(date.getTime())) return false;
  return date.toISOString().startsWith(text) && date.getTime() <= Date.now() && text >= '1880-01-01';
}

/** From the replica if it will do; should it be away, the primary answers and the result says so. */
export async function listPatients(source: Source, limit: number): Promise<PatientList> {
  const { databases, log } = runtime();
  if (source === 'primary') return withRetry(() => readList(databases.primary, 'primary', limit));
  try {
    return await readList(databases.replica, 'replica', limit);
  } catch (error) {
    if (!isAway(error)) throw error;
    log.warn('replica is away, the primary answers', describeError(error));
    return withRetry(() => readList(databases.primary, 'primary', limit));
  }
}

async function readList(pool: Pool, source: Source, limit: number): Promise<PatientList> {
  const { rows } = await pool.query<Patient & { standby: boolean }>({
    name: 'patients-newest',
    text: `SELECT pg_is_in_recovery() AS standby, newest.* FROM (VALUES (1)) AS always (one)
      LEFT JOIN LATERAL (SELECT ${COLUMNS} FROM patients ORDER BY created_at DESC, id LIMIT $1) AS newest ON true`,
    values: [limit],
  });
  const items = rows.filter((row) => row.id !== null).map(({ standby: _, ...patient }) => patient);
  return { source, standby: rows[0]?.standby ?? false, items };
}

export async function findPatient(source: Source, id: string): Promise<Patient | undefined> {
  const { databases } = runtime();
  const read = () => databases[source].query<Patient>({ name: 'patient-one', text: `SELECT ${COLUMNS} FROM patients WHERE id = $1`, values: [id] });
  return (await withRetry(read)).rows[0];
}

/**
 * Adds the patient once, however often the same key arrives: a client that lost the answer sends the request again.
 * Being idempotent, it may also be retried here when the database fails over.
 */
export async function addPatient(userId: string, key: string, patient: NewPatient): Promise<{ patient: Patient; created: boolean }> {
  const result = await withRetry(() =>
    inTransaction(runtime().databases.primary, async (client) => {
      const inserted = await client.query<Patient>({
        name: 'patient-insert',
        text: `INSERT INTO patients (full_name, date_of_birth, phone, created_by, idempotency_key) VALUES ($1, $2, $3, $4, $5)
          ON CONFLICT (created_by, idempotency_key) DO NOTHING RETURNING ${COLUMNS}`,
        values: [patient.fullName, patient.dateOfBirth, patient.phone, userId, key],
      });
      const added = inserted.rows[0];
      if (added) {
        await audit(client, userId, 'patient.create', added.id);
        return { patient: added, created: true };
      }
      const known = await client.query<Patient>({
        name: 'patient-by-key',
        text: `SELECT ${COLUMNS} FROM patients WHERE created_by = $1 AND idempotency_key = $2`,
        values: [userId, key],
      });
      return { patient: known.rows[0] as Patient, created: false };
    }),
  );
  const { fullName, dateOfBirth, phone } = result.patient;
  if (fullName !== patient.fullName || dateOfBirth !== patient.dateOfBirth || phone !== patient.phone) {
    throw new ApiError(422, 'key_reused', 'This Idempotency-Key was used for another patient.');
  }
  return result;
}
