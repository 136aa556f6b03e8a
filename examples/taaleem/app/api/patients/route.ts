import { answer, ApiError, json, readJson, requireSameOrigin, requireUser } from '@/lib/api';
import { invalidate } from '@/lib/cache';
import { addPatient, LARGEST_PAGE, listPatients, parsePatient } from '@/lib/patients';

export const dynamic = 'force-dynamic';

const KEY = /^[A-Za-z0-9._-]{8,128}$/;

export function GET(request: Request): Promise<Response> {
  return answer(async () => {
    await requireUser();
    const query = new URL(request.url).searchParams;
    const source = query.get('source') ?? 'replica';
    if (source !== 'replica' && source !== 'primary') throw new ApiError(400, 'bad_source', 'source is replica or primary.');
    const limit = Number(query.get('limit') ?? 50);
    if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_PAGE) throw new ApiError(400, 'bad_limit', `limit is 1 to ${LARGEST_PAGE}.`);
    return json(await listPatients(source, limit));
  });
}

export function POST(request: Request): Promise<Response> {
  return answer(async () => {
    requireSameOrigin(request);
    const user = await requireUser();
    const key = request.headers.get('idempotency-key') ?? '';
    if (!KEY.test(key)) throw new ApiError(400, 'key_required', 'Send an Idempotency-Key of 8 to 128 letters, digits or . _ -');
    const { patient, created } = await addPatient(user.id, key, parsePatient(await readJson(request)));
    if (created) await invalidate('stats');
    return json({ patient, created }, created ? 201 : 200, { Location: `/api/patients/${patient.id}` });
  });
}
