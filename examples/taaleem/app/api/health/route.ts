import { json } from '@/lib/api';
import { runtime } from '@/lib/runtime';

export const dynamic = 'force-dynamic';

/** Liveness: this process answers. It asks no one else, or an outage of the database would take all instances with it. */
export function GET(): Response {
  const { config } = runtime();
  return json({ status: 'ok', instance: config.instance, release: config.release, uptime_seconds: Math.floor(process.uptime()) });
}
