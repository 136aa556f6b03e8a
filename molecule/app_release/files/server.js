'use strict';
// An application with a contract and nothing else: who it is, whether it is ready, and that it stops gracefully.
const fs = require('fs');
const http = require('http');

const { release, flaw } = JSON.parse(fs.readFileSync(`${__dirname}/manifest.json`, 'utf8'));
if (flaw === 'crash') throw new Error('this release ends at its start');

// What stands for a database that is away.
const outage = '/srv/contract/outage';
const server = http.createServer((request, response) => {
  const identity = { release, instance: process.env.INSTANCE_ID, secret: process.env.SECRET, pid: process.pid };
  if (flaw === 'nameless') delete identity.release;
  if (request.url === '/api/ready') {
    const ready = flaw !== 'unready' && !fs.existsSync(outage);
    return response.writeHead(ready ? 200 : 503).end(ready ? '' : 'no database');
  }
  if (request.url.startsWith('/migrated/')) {
    const [migrated, words] = request.url.split('/').slice(2).map(decodeURIComponent);
    console.log(`migrated ${migrated} by ${words} while ${release} serves`);
  }
  if (request.url === '/cache') fs.writeFileSync(`${__dirname}/.next/cache/page`, release);
  return response.end(JSON.stringify(identity));
});
server.listen(process.env.PORT, process.env.HOST, () => process.send('ready'));
process.on('SIGINT', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
