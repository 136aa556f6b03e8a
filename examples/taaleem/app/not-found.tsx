export default function NotFound() {
  return (
    <main className="narrow">
      <section className="card">
        <h1>Not found</h1>
        <p className="quiet">There is nothing at this address.</p>
        <a className="button" href="/">
          To the patients
        </a>
      </section>
    </main>
  );
}
