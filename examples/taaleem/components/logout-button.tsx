'use client';

import { postJson } from './request';

export default function LogoutButton() {
  const logout = () => postJson('/api/logout', {}).finally(() => window.location.assign('/login'));
  return (
    <button className="button plain" onClick={logout}>
      Log out
    </button>
  );
}
