import { redirect } from 'next/navigation';

import LoginForm from '@/components/login-form';
import { runtime } from '@/lib/runtime';
import { currentUser } from '@/lib/sessions';

export default async function LoginPage() {
  if (await currentUser()) redirect('/');
  const { instance, release } = runtime().config;
  return (
    <main className="narrow">
      <section className="card">
        <img src="/public/logo.svg" alt="" width={48} height={48} />
        <h1>Taaleem</h1>
        <p className="quiet">Clinic management. Log in to see your patients.</p>
        <LoginForm />
      </section>
      <p className="footnote">
        {instance} · release {release}
      </p>
    </main>
  );
}
