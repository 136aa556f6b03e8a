import type { Pool, PoolClient } from 'pg';

import { runtime } from './runtime';

export async function audit(client: Pool | PoolClient, userId: string | null, action: string, subject: string | null): Promise<void> {
  const request = runtime().request.getStore();
  await client.query({
    name: 'audit-insert',
    text: 'INSERT INTO audit_log (user_id, action, subject, request_id, client_address) VALUES ($1, $2, $3, $4, $5)',
    values: [userId, action, subject, request?.requestId ?? null, request?.clientAddress ?? null],
  });
}
