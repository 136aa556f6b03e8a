// Puts a release together in build/release: the standalone server of Next.js, our own server in place of its, the static
// files, the migrations. What depends on the moment of the build is taken out, so that equal sources in a folder of the
// same path give equal releases. (The path itself is in module ids and chunk names, where Next.js and webpack put it.)
import { build } from 'esbuild';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const release = path.join(root, 'build', 'release');

function bundle() {
  return build({
    entryPoints: { server: 'server/main.ts', migrate: 'server/migrate.ts' },
    absWorkingDir: root,
    outdir: release,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['next', 'pg-native'],
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'warning',
  });
}

// Next.js makes random keys for draft mode in each build. It is not used here: `false` equals no header and no cookie,
// so nobody can turn it on, and no secret is in the release.
function withoutDraftMode(directory) {
  const off = { previewModeId: false, previewModeSigningKey: false, previewModeEncryptionKey: false };
  const manifest = path.join(directory, '.next', 'prerender-manifest.json');
  const content = JSON.parse(readFileSync(manifest, 'utf8'));
  writeFileSync(manifest, JSON.stringify({ ...content, preview: off }));
}

// The same for the key that would seal what server actions carry: there are none, and the build fails if that changes.
function withoutActionsKey(directory) {
  const manifest = path.join(directory, '.next', 'server', 'server-reference-manifest.json');
  const { node, edge } = JSON.parse(readFileSync(manifest, 'utf8'));
  if (Object.keys({ ...node, ...edge }).length > 0) throw new Error('server actions need a key from the environment');
  writeFileSync(manifest, JSON.stringify({ node, edge, encryptionKey: '' }));
}

// Next.js lists the routes as the file system lists folders, in no order. They are looked up by name, so order is free.
function withRoutesInOrder(directory) {
  for (const name of ['app-path-routes-manifest.json', 'app-build-manifest.json', 'server/app-paths-manifest.json', 'server/pages-manifest.json']) {
    const file = path.join(directory, '.next', name);
    const inOrder = (_key, value) =>
      value && typeof value === 'object' && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
        : value;
    writeFileSync(file, JSON.stringify(JSON.parse(readFileSync(file, 'utf8')), inOrder, 2));
  }
}

rmSync(path.join(root, 'build'), { recursive: true, force: true });
cpSync(path.join(root, '.next', 'standalone'), release, { recursive: true, verbatimSymlinks: true });
for (const folder of ['.next/static', 'public', 'migrations']) {
  cpSync(path.join(root, folder), path.join(release, folder), { recursive: true });
}
await bundle();
withoutDraftMode(release);
withoutActionsKey(release);
withRoutesInOrder(release);
if (!existsSync(path.join(release, 'node_modules', 'next'))) throw new Error('the standalone build lacks Next.js');
