'use strict';
// The least that an application under PM2 does: listen where it is told, say that it is ready, stop gracefully.
const fs = require('fs');
const http = require('http');

const server = http.createServer((request, response) => {
  const actions = {
    '/slow': () => setTimeout(() => response.end('done\n'), 1500),
    '/crash': () => process.exit(1),
    '/leak': () => {
      global.leak = Buffer.alloc(400 * 1024 * 1024, 1);
      response.end('leaking\n');
    },
    '/log': () => {
      console.log(`line ${request.headers['x-line']}`);
      response.end('logged\n');
    },
    '/write': () => {
      fs.writeFileSync(`${request.headers['x-folder']}/written`, 'x');
      response.end('written\n');
    },
  };
  const answer = { instance: process.env.INSTANCE_ID, pid: process.pid, secret: process.env.SECRET, release: fs.realpathSync(process.cwd()) };
  try {
    (actions[request.url] || (() => response.end(JSON.stringify(answer))))();
  } catch (error) {
    response.writeHead(500).end(`${error.code}\n`);
  }
});
server.keepAliveTimeout = 1000;
server.listen(process.env.PORT, process.env.BIND, () => process.send('ready'));
process.on('SIGINT', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
