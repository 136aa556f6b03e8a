import { randomUUID } from 'node:crypto';
import type { ReadableStream } from 'node:stream/web';

import { answer, ApiError, json, requireSameOrigin, requireUser } from '@/lib/api';
import { audit } from '@/lib/audit';
import { inTransaction } from '@/lib/database';
import { describeError } from '@/lib/errors';
import { runtime } from '@/lib/runtime';

export const dynamic = 'force-dynamic';

/** Takes the body as it is, of any type. It is kept whole and known to the database, or neither. */
export function POST(request: Request): Promise<Response> {
  return answer(async () => {
    requireSameOrigin(request);
    const user = await requireUser();
    if (!request.body) throw new ApiError(400, 'empty', 'Send the file as the body.');
    const { databases, log, uploads } = runtime();
    const id = randomUUID();
    const { size, sha256 } = await uploads.receive(id, request.body as ReadableStream);
    try {
      await inTransaction(databases.primary, async (client) => {
        const values = [id, size, sha256, user.id];
        await client.query({ name: 'upload-insert', text: 'INSERT INTO uploads (id, size_bytes, sha256, created_by) VALUES ($1, $2, $3, $4)', values });
        await audit(client, user.id, 'upload.create', id);
      });
    } catch (error) {
      await uploads.remove(id).catch((problem: unknown) => {
        log.error('an upload that the database does not know is left', { upload: id, ...describeError(problem) });
      });
      throw error;
    }
    return json({ id, size, sha256 }, 201);
  });
}
