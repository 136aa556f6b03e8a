import { answer, json, requireSameOrigin } from '@/lib/api';
import { endSession } from '@/lib/sessions';

export const dynamic = 'force-dynamic';

export function POST(request: Request): Promise<Response> {
  return answer(async () => {
    requireSameOrigin(request);
    await endSession();
    return json({ status: 'logged out' });
  });
}
