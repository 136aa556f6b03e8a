#!/usr/bin/env node
'use strict';
// Owns PM2 for one application under systemd: starts the ecosystem file, tells systemd when it is up, writes the logs,
// publishes a status without secrets, and replaces instances one after another.
//
//   run                 what the unit executes
//   reload              replace every instance, one after another
//   apply               the same, but only what differs from its configuration; remove what is no longer in it
//   restart NAME...     replace these instances
//   start               start configured instances that do not run, where their port is free
//   prune               remove instances that are no longer configured
//   status              JSON on standard output
//   files NAME...       the log files of these instances
//   revision            `current`, `outdated` or `stopped`: is this process made of the files that are installed?

const childProcess = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const home = process.env.PM2_HOME;
const modulePath = process.env.PM2_MODULE;
const ecosystemFile = process.env.PM2_ECOSYSTEM;
const unitFile = process.env.PM2_UNIT_FILE;
const statusFile = process.env.PM2_STATUS_FILE;
const statusGroup = process.env.PM2_STATUS_GROUP;
const statusSeconds = 5;
const notifySocket = process.env.NOTIFY_SOCKET;

// PM2 hands the environment of whoever starts an instance to that instance.
const kept = ['PATH', 'HOME', 'LANG', 'PM2_HOME'];
for (const name of Object.keys(process.env)) if (!kept.includes(name)) delete process.env[name];
// No update check, no agent, no banner.
Object.assign(process.env, { PM2_DISCRETE_MODE: 'true', PM2_NO_INTERACTION: 'true', PM2_CONCURRENT_ACTIONS: '4' });
const pm2 = require(modulePath);
delete process.env.PM2_PROGRAMMATIC;

const call = (object, method, ...values) =>
  new Promise((resolve, reject) =>
    object[method](...values, (error, result) =>
      error ? reject(error instanceof Error ? error : new Error(error.msg || String(error))) : resolve(result)));
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const digest = (...parts) => {
  const hash = crypto.createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
};
const contents = (file) => (fs.existsSync(file) ? fs.readFileSync(file) : '');

// When a file of what was unpacked there was last put back; what began before may have read something else.
function repaired(folder) {
  try {
    return JSON.parse(contents(path.join(folder, '.stackwright-archive'))).repaired || '';
  } catch {
    return '';
  }
}
// Both the interpreter and PM2 itself are two folders below the one that was unpacked.
const repairedAround = (file) => repaired(path.resolve(fs.realpathSync(file), '../..'));

// What an instance is made of: its configuration, the secrets it read, its release and its interpreter. The secrets'
// file is found where Node.js is told of it.
function fingerprint(app) {
  const flag = (app.node_args || []).find((argument) => argument.startsWith('--env-file='));
  return digest(
    JSON.stringify(app),
    flag ? contents(flag.slice('--env-file='.length)) : '',
    fs.existsSync(app.cwd) ? fs.realpathSync(app.cwd) : '',
    fs.realpathSync(app.interpreter),
    repaired(app.cwd),
    repairedAround(app.interpreter),
  );
}

const revision = () =>
  digest(
    contents(unitFile),
    contents(__filename),
    ...[modulePath, process.execPath].flatMap((file) => [fs.realpathSync(file), repairedAround(file)]),
  );

const ecosystem = () => JSON.parse(fs.readFileSync(ecosystemFile, 'utf8')).apps;

// The ecosystem file is one that PM2 understands by itself. Here the supervisor writes the logs, because PM2 drops
// lines while it reopens a file and ends when a disk is full.
function startable(app) {
  return {
    ...app,
    out_file: '/dev/null',
    error_file: '/dev/null',
    env: { ...app.env, PM2_FINGERPRINT: fingerprint(app), PM2_RELEASE: release(app) },
  };
}

const release = (app) => (fs.existsSync(app.cwd) ? path.basename(fs.realpathSync(app.cwd)) : '');

function describe(app, processes) {
  const own = processes.filter((item) => item.name === app.name);
  const up = own.filter((item) => item.pm2_env.status === 'online');
  const wanted = fingerprint(app);
  return {
    name: app.name,
    port: Number(app.env.PORT),
    mode: app.exec_mode,
    status: up.length === app.instances ? 'online' : own.find((item) => !up.includes(item))?.pm2_env.status ?? 'missing',
    stale: own.length !== app.instances || own.some((item) => item.pm2_env.PM2_FINGERPRINT !== wanted),
    release: [...new Set(own.map((item) => item.pm2_env.PM2_RELEASE))].join(','),
    processes: own.map((item) => ({
      pid: item.pid,
      status: item.pm2_env.status,
      restarts: item.pm2_env.restart_time,
      started_at: new Date(item.pm2_env.pm_uptime).toISOString(),
      memory_mb: Math.round(item.monit.memory / 1048576),
      cpu_percent: item.monit.cpu,
    })),
  };
}

async function status() {
  const processes = await call(pm2, 'list');
  const apps = ecosystem();
  const names = apps.map((app) => app.name);
  return {
    updated_at: new Date().toISOString(),
    instances: apps.map((app) => describe(app, processes)),
    unexpected: [...new Set(processes.map((item) => item.name).filter((name) => !names.includes(name)))],
  };
}

const statusOf = async (name) => (await status()).instances.find((instance) => instance.name === name);

// Fork mode: stop, then start from the file, so that nothing of the first start lingers. Cluster mode: PM2 starts the
// new worker before it stops the old one.
async function replace(app) {
  const before = await statusOf(app.name);
  // One of another name or mode that has the port would keep this one from listening.
  for (const name of await unexpectedOn(app.env.PORT)) await remove(name);
  if (app.exec_mode === 'cluster' && before.processes.length === app.instances) {
    // PM2 takes a changed configuration at a reload only from a file.
    const file = path.join(home, `reload-${process.pid}.json`);
    fs.writeFileSync(file, JSON.stringify({ apps: [startable(app)] }), { mode: 0o600 });
    try {
      await call(pm2, 'reload', file, {});
    } finally {
      fs.rmSync(file);
    }
  } else {
    if (before.processes.length) await call(pm2, 'delete', app.name);
    await call(pm2, 'start', startable(app));
  }
  const after = await statusOf(app.name);
  if (after.status !== 'online') throw new Error(`${app.name} is ${after.status} after its start`);
  console.log(`${app.name} replaced`);
}

async function remove(name) {
  await call(pm2, 'delete', name);
  console.log(`${name} removed`);
}

async function unexpectedOn(port) {
  const names = ecosystem().map((app) => app.name);
  const processes = await call(pm2, 'list');
  const holders = processes.filter((item) => !names.includes(item.name) && String(item.pm2_env.PORT) === String(port));
  return [...new Set(holders.map((item) => item.name))];
}

async function prune() {
  for (const name of (await status()).unexpected) await remove(name);
}

// Beside what runs: the old ones serve until the edge sends to the new ones.
async function startMissing() {
  const now = await status();
  for (const app of ecosystem()) {
    const missing = now.instances.find((instance) => instance.name === app.name).processes.length === 0;
    if (missing && (await unexpectedOn(app.env.PORT)).length === 0) await replace(app);
  }
}

async function replaceEach(apps) {
  for (const app of apps) await replace(app);
}

async function apply() {
  const now = await status();
  const stale = now.instances.filter((instance) => instance.stale).map((instance) => instance.name);
  await replaceEach(ecosystem().filter((app) => stale.includes(app.name)));
  await prune();
}

// One descriptor per file, written synchronously: nothing is buffered here, so reopening loses nothing.
class Logs {
  constructor() {
    this.open = new Map();
    this.lost = 0;
  }

  write(file, data) {
    try {
      if (!this.open.has(file)) this.open.set(file, fs.openSync(file, 'a', 0o640));
      fs.writeSync(this.open.get(file), data);
    } catch (error) {
      // A full disk must not end the application; the journal hears of the first of every thousand.
      if (this.lost++ % 1000 === 0) console.error(`cannot write ${file}: ${error.code} (${this.lost} chunks lost)`);
    }
  }

  reopen() {
    for (const descriptor of this.open.values()) fs.closeSync(descriptor);
    this.open.clear();
  }
}

function notify(...values) {
  if (!notifySocket) return;
  childProcess.spawnSync('systemd-notify', values, { env: { ...process.env, NOTIFY_SOCKET: notifySocket } });
}

function groupId(name) {
  const line = fs.readFileSync('/etc/group', 'utf8').split('\n').find((entry) => entry.startsWith(`${name}:`));
  return line ? Number(line.split(':')[2]) : -1;
}

async function publish(started) {
  const now = await status();
  const text = JSON.stringify({ ...now, revision: started, node: process.version, pm2: require(path.join(modulePath, 'package.json')).version });
  fs.writeFileSync(`${statusFile}.new`, `${text}\n`, { mode: 0o640 });
  if (statusGroup) fs.chownSync(`${statusFile}.new`, process.getuid(), groupId(statusGroup));
  fs.renameSync(`${statusFile}.new`, statusFile);
  return now.instances;
}

async function waitUntilUp(started) {
  for (;;) {
    const instances = await publish(started);
    if (instances.every((instance) => instance.status === 'online')) return instances;
    const given = instances.filter((instance) => ['errored', 'stopped', 'missing'].includes(instance.status));
    if (given.length === instances.length) throw new Error('no instance stays up; see the application log');
    // Some serve: better than none, and PM2 goes on with the others.
    if (given.length && instances.some((instance) => instance.status === 'online')) return instances;
    await sleep(500);
  }
}

async function run() {
  const started = revision();
  for (const socket of ['rpc.sock', 'pub.sock']) fs.rmSync(path.join(home, socket), { force: true });
  await call(pm2, 'connect', true);
  const logs = new Logs();
  const God = require(path.join(modulePath, 'lib/God.js'));
  const files = (name) => ecosystem().find((app) => app.name === name) || {};
  let known = new Map();
  const fileOf = (name, key) => {
    if (!known.has(name)) known.set(name, files(name));
    return known.get(name)[key];
  };
  const forward = (event, key) =>
    God.bus.on(event, (packet) => fileOf(packet.process.name, key) && logs.write(fileOf(packet.process.name, key), packet.data));
  forward('log:out', 'out_file');
  forward('log:err', 'error_file');
  process.on('SIGUSR2', () => {
    known = new Map();
    logs.reopen();
  });
  const stop = () => {
    notify('--stopping');
    pm2.kill(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  await call(pm2, 'start', { apps: ecosystem().map(startable) });
  await waitUntilUp(started);
  notify('--ready', `--status=${ecosystem().length} instances`);
  setInterval(async () => {
    try {
      const instances = await publish(started);
      const up = instances.filter((instance) => instance.status === 'online').length;
      notify(`--status=${up} of ${instances.length} instances online`);
    } catch (error) {
      console.error(`status: ${error.message}`);
    }
  }, statusSeconds * 1000);
}

function checkRevision() {
  let answer = 'stopped';
  try {
    answer = JSON.parse(fs.readFileSync(statusFile, 'utf8')).revision === revision() ? 'current' : 'outdated';
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  console.log(answer);
}

// PM2's client starts a daemon of its own if none answers: that one would live outside the unit.
async function asClient(action) {
  const alive = await new Promise((resolve) => pm2.Client.pingDaemon(resolve));
  if (!alive) throw new Error('PM2 is not running; start its unit');
  await call(pm2, 'connect');
  try {
    await action();
  } finally {
    await call(pm2, 'disconnect');
  }
}

async function main([verb, ...names]) {
  if (verb === 'run') return run();
  if (verb === 'revision') return checkRevision();
  const apps = ecosystem();
  const unknown = names.filter((name) => !apps.some((app) => app.name === name));
  if (unknown.length) throw new Error(`no such instance: ${unknown.join(', ')}; known: ${apps.map((app) => app.name).join(', ')}`);
  if (verb === 'files') return apps.filter((app) => names.includes(app.name)).forEach((app) => console.log(`${app.out_file}\n${app.error_file}`));
  const actions = {
    reload: () => replaceEach(apps),
    apply,
    start: startMissing,
    prune,
    restart: () => replaceEach(apps.filter((app) => names.includes(app.name))),
    status: async () => console.log(JSON.stringify(await status())),
  };
  if (!actions[verb]) throw new Error('usage: run | reload | apply | restart NAME... | start | prune | status | files NAME... | revision');
  await asClient(actions[verb]);
  return process.exit(0);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
