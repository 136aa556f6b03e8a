import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

import { answer, ApiError, json, requireSameOrigin, requireUser } from '@/lib/api';
import { audit } from '@/lib/audit';
import { inTransaction } from '@/lib/database';
import { runtime } from '@/lib/runtime';

export const dynamic = 'force-dynamic';

/**
 * Takes the body as it is, of any type, and writes it as it comes: memory does not grow with the file. It appears under its
 * name only when whole and on disk. How large it may be is the edge's business.
 */
export function POST(request: Request): Promise<Response> {
  return answer(async () => {
    requireSameOrigin(request);
    const user = await requireUser();
    if (!request.body) throw new ApiError(400, 'empty', 'Send the file as the body.');
    const { config, databases } = runtime();
    const id = randomUUID();
    const partial = path.join(config.uploadsDir, `.${id}.partial`);
    await mkdir(config.uploadsDir, { recursive: true, mode: 0o750 });
    try {
      const { size, sha256 } = await receive(request.body as ReadableStream, partial);
      await rename(partial, path.join(config.uploadsDir, id));
      await inTransaction(databases.primary, async (client) => {
        const values = [id, size, sha256, user.id];
        await client.query({ name: 'upload-insert', text: 'INSERT INTO uploads (id, size_bytes, sha256, created_by) VALUES ($1, $2, $3, $4)', values });
        await audit(client, user.id, 'upload.create', id);
      });
      return json({ id, size, sha256 }, 201);
    } catch (error) {
      await Promise.all([rm(partial, { force: true }), rm(path.join(config.uploadsDir, id), { force: true })]);
      throw error;
    }
  });
}

async function receive(body: ReadableStream, target: string): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(body), measure, createWriteStream(target, { flags: 'wx', mode: 0o640, flush: true }));
  return { size, sha256: hash.digest('hex') };
}
