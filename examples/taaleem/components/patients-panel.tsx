'use client';

import { type FormEvent, useState } from 'react';

import type { Patient, PatientList, Source } from '@/lib/patients';

import { messageOf, postJson, requestJson } from './request';

export default function PatientsPanel({ initial }: { initial: PatientList }) {
  const [list, setList] = useState(initial);
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  // One key for one patient, however often the button is pressed; a new one only after success.
  const [key, setKey] = useState('');

  async function load(source: Source) {
    try {
      setList(await requestJson<PatientList>(`/api/patients?source=${source}`));
    } catch (error) {
      setProblem(messageOf(error));
    }
  }

  async function add(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const attempt = key || crypto.randomUUID();
    setKey(attempt);
    setBusy(true);
    setProblem('');
    try {
      await postJson<{ patient: Patient }>('/api/patients', Object.fromEntries(new FormData(form)), { 'Idempotency-Key': attempt });
      form.reset();
      setKey('');
      await load('primary'); // the replica may not have it yet
    } catch (error) {
      setProblem(messageOf(error));
    }
    setBusy(false);
  }

  return (
    <div className="column">
      <section className="card">
        <h2>Add a patient</h2>
        <form className="row" method="post" onSubmit={add} onChange={() => setKey('')}>
          <label>
            Full name
            <input name="fullName" required maxLength={200} autoComplete="off" />
          </label>
          <label>
            Date of birth
            <input name="dateOfBirth" type="date" required min="1880-01-01" />
          </label>
          <label>
            Phone
            <input name="phone" type="tel" maxLength={40} autoComplete="off" />
          </label>
          <button className="button" disabled={busy}>
            Add
          </button>
        </form>
        <p className="problem" role="alert">
          {problem}
        </p>
      </section>
      <section className="card">
        <div className="title">
          <h2>Patients</h2>
          <span className="switch" role="group" aria-label="Read from">
            {(['replica', 'primary'] as const).map((source) => (
              <button key={source} aria-pressed={list.source === source} onClick={() => load(source)}>
                {source}
              </button>
            ))}
          </span>
        </div>
        <PatientTable patients={list.items} />
      </section>
    </div>
  );
}

function PatientTable({ patients }: { patients: Patient[] }) {
  if (patients.length === 0) return <p className="quiet">No patients yet. Add the first one above.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th>Name</th>
          <th>Date of birth</th>
          <th>Phone</th>
          <th>Added</th>
        </tr>
      </thead>
      <tbody>
        {patients.map((patient) => (
          <tr key={patient.id}>
            <td>{patient.fullName}</td>
            <td>{patient.dateOfBirth}</td>
            <td>{patient.phone ?? ''}</td>
            <td className="quiet">{patient.createdAt.slice(0, 16).replace('T', ' ')}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
