'use client';

import { useEffect, useState } from 'react';

import { requestJson } from './request';

interface Instance {
  instance: string;
  release: string;
  host?: string;
  pid?: number;
}

interface Stats {
  patients: number;
  addedToday: number;
}

/** Which instance made this page, which one answers now, and which one the event stream hangs on. */
export default function InstancePanel({ instance, release }: Instance) {
  const [now, setNow] = useState<Instance>({ instance, release });
  const [live, setLive] = useState<Instance>();
  const [stats, setStats] = useState<Stats>();

  useEffect(() => {
    const events = new EventSource('/api/events');
    const update = (event: MessageEvent<string>) => setLive(JSON.parse(event.data));
    events.addEventListener('hello', update);
    events.addEventListener('heartbeat', update);
    events.onerror = () => setLive(undefined); // the browser connects again by itself
    return () => events.close();
  }, []);

  async function ask() {
    setNow(await requestJson<Instance>('/api/instance'));
    setStats(await requestJson<Stats>('/api/stats'));
  }

  useEffect(() => {
    requestJson<Stats>('/api/stats').then(setStats, () => undefined);
  }, []);

  return (
    <aside className="card">
      <h2>Behind this page</h2>
      <dl>
        <dt>Answered by</dt>
        <dd id="instance">{now.instance}</dd>
        <dt>Release</dt>
        <dd id="release">{now.release}</dd>
        <dt>Live connection</dt>
        <dd id="live">
          <span className={live ? 'dot on' : 'dot'} /> {live ? live.instance : 'connecting'}
        </dd>
        <dt>Patients</dt>
        <dd>{stats ? `${stats.patients}, ${stats.addedToday} added today` : '…'}</dd>
      </dl>
      <button className="button plain" onClick={() => ask().catch(() => undefined)}>
        Ask again
      </button>
    </aside>
  );
}
