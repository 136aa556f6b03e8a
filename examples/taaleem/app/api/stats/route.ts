import { answer, json, requireUser } from '@/lib/api';
import { cached } from '@/lib/cache';
import { withRetry } from '@/lib/database';
import { runtime } from '@/lib/runtime';

export const dynamic = 'force-dynamic';

const QUERY = {
  name: 'stats',
  text: `SELECT count(*)::int AS patients, count(*) FILTER (WHERE created_at > now() - interval '1 day')::int AS "addedToday" FROM patients`,
};

/** Counting reads the whole table, so the answer is kept for all instances; adding a patient drops it. */
export function GET(): Promise<Response> {
  return answer(async () => {
    await requireUser();
    const count = async () => (await withRetry(() => runtime().databases.primary.query(QUERY))).rows[0];
    const { value, status } = await cached('stats', count);
    return json(value, 200, { 'X-Cache': status });
  });
}
