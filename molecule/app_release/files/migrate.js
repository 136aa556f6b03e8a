'use strict';
// A migration whose database is the log of the release that serves meanwhile.
const fs = require('fs');
const http = require('http');

const { release, flaw } = JSON.parse(fs.readFileSync(`${__dirname}/manifest.json`, 'utf8'));
if (process.env.SECRET === undefined || process.getuid() === 0) throw new Error('needs the secrets, and no root');
if (flaw === 'migration') throw new Error('this migration fails');
const words = encodeURIComponent(process.argv.slice(2).join(' '));
http.get(`${process.env.SERVING}/migrated/${release}/${words}`).on('error', (error) => {
  if (error.code !== 'ECONNREFUSED') throw error;
});
