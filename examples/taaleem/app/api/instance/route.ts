import { hostname } from 'node:os';

import { json } from '@/lib/api';
import { runtime } from '@/lib/runtime';

export const dynamic = 'force-dynamic';

export function GET(): Response {
  const { instance, port, release } = runtime().config;
  return json({ instance, port, pid: process.pid, release, host: hostname() });
}
