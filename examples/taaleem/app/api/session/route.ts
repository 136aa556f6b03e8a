import { answer, json, requireUser } from '@/lib/api';

export const dynamic = 'force-dynamic';

export function GET(): Promise<Response> {
  return answer(async () => json({ user: await requireUser() }));
}
