import { answer, ApiError, json, requireUser } from '@/lib/api';
import { findPatient } from '@/lib/patients';

export const dynamic = 'force-dynamic';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function GET(request: Request, { params }: { params: { id: string } }): Promise<Response> {
  return answer(async () => {
    await requireUser();
    const source = new URL(request.url).searchParams.get('source') === 'replica' ? 'replica' : 'primary';
    const patient = UUID.test(params.id) ? await findPatient(source, params.id) : undefined;
    if (!patient) throw new ApiError(404, 'not_found', 'No such patient.');
    return json({ source, patient });
  });
}
