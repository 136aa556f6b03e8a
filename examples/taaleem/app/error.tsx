'use client';

export default function Failed({ reset }: { reset: () => void }) {
  return (
    <main className="narrow">
      <section className="card">
        <h1>Not available right now</h1>
        <p className="quiet">A service that this page needs did not answer. It is usually back within seconds.</p>
        <button className="button" onClick={reset}>
          Try again
        </button>
      </section>
    </main>
  );
}
