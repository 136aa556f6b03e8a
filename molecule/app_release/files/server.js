'use strict';
// An application with a contract and nothing else: who it is, whether it is ready, and that it stops gracefully.
const fs = require('fs');
const http = require('http');

const { release, flaw } = JSON.parse(fs.readFileSync(`${__dirname}/manifest.json`, 'utf8'));
if (flaw === 'crash') process.exit(1);

const server = http.createServer((request, response) => {
  const identity = { release, instance: process.env.INSTANCE_ID, secret: process.env.SECRET };
  if (request.url === '/api/ready') return response.writeHead(flaw === 'unready' ? 503 : 200).end();
  if (request.url.startsWith('/migrated/')) console.log(`migrated ${request.url.split('/')[2]} while ${release} serves`);
  return response.end(JSON.stringify(identity));
});
server.listen(process.env.PORT, process.env.HOST, () => process.send('ready'));
process.on('SIGINT', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
