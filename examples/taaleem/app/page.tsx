import { redirect } from 'next/navigation';

import InstancePanel from '@/components/instance-panel';
import LogoutButton from '@/components/logout-button';
import PatientsPanel from '@/components/patients-panel';
import { listPatients } from '@/lib/patients';
import { runtime } from '@/lib/runtime';
import { currentUser } from '@/lib/sessions';

export default async function PatientsPage() {
  const user = await currentUser();
  if (!user) redirect('/login');
  const { instance, release } = runtime().config;
  const list = await listPatients('replica', 50);
  // Dates are no JSON: what the client component gets must be what the API would send.
  const initial = JSON.parse(JSON.stringify(list));
  return (
    <>
      <header className="bar">
        <img src="/public/logo.svg" alt="" width={32} height={32} />
        <strong>Taaleem</strong>
        <span className="spacer" />
        <span className="quiet">{user.name}</span>
        <LogoutButton />
      </header>
      <main className="wide">
        <PatientsPanel initial={initial} />
        <InstancePanel instance={instance} release={release} />
      </main>
    </>
  );
}
