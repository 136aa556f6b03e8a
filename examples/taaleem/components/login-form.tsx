'use client';

import { type FormEvent, useState } from 'react';

import { messageOf, postJson } from './request';

export default function LoginForm() {
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    setBusy(true);
    try {
      await postJson('/api/login', Object.fromEntries(new FormData(event.currentTarget)));
      window.location.assign('/');
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
    }
  }

  // method="post": should the script not have loaded, the password must not end up in the address.
  return (
    <form method="post" onSubmit={submit}>
      <label>
        User name
        <input name="username" autoComplete="username" required autoFocus />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <p className="problem" role="alert">
        {problem}
      </p>
      <button className="button" disabled={busy}>
        Log in
      </button>
    </form>
  );
}
