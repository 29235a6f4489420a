/** Memory at the edges (I9), for limits.ts: very large rows, very many tables, one budget for several connectors. Each returns after its verdicts. */
import { writeFile } from 'node:fs/promises';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka } from '../servers/index.ts';
import { Daemon } from '../support/daemon.ts';
import { startLink } from '../support/fault-link.ts';

export interface Bench {
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  /** Says whether the bound was held. */
  verdict(what: string, value: number, bound: number, unit: string): void;
  /** A line of the table at the end. */
  figure(what: string, value: string): void;
  /** Seconds until the connector's slot was confirmed up to the log's end of now. */
  caughtUp(connector: string, timeoutMs: number): Promise<number>;
}

const MB = 1e6;
const MIB = 2 ** 20;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const mb = (bytes: number): string => `${(bytes / MB).toFixed(0)} MB`;
const isStreaming = ({ msg }: { msg: string }): boolean => msg.startsWith('Streaming');

/** From here on the peak is a new one. */
async function resetPeak(daemon: Daemon): Promise<void> {
  await writeFile(`/proc/${daemon.pid}/clear_refs`, '5');
}

/** One row of this many bytes: with what the process was before, at most the bound of I9: what is configured (here nothing is buffered) and three times the row. */
export async function largeRow(bench: Bench, bytes: number): Promise<void> {
  const { postgres, nats } = bench;
  const text = `repeat(md5(random()::text), ${Math.ceil(bytes / 32)})`;
  const database = await postgres.createDatabase('large_row');
  await postgres.query('create table wide(id int primary key, n int, body text); alter table wide replica identity full', database);
  const changes = [
    ['insert', `insert into wide select 1, 1, ${text}`, bytes],
    ['update of both images', `update wide set n = 2, body = ${text}`, 2 * bytes],
    ['update of another column', 'update wide set n = 3', 2 * bytes],
    ['delete', 'delete from wide', bytes],
    ['ten inserts in one transaction', `insert into wide select i, 1, ${text} from generate_series(1, 10) i`, bytes],
  ] as const;
  for (const type of ['blackhole', 'stdout']) {
    const name = `row-${type}`;
    const daemon = await Daemon.create([
      { name, source: { type: 'postgres', url: postgres.url(database), tables: ['public.wide'], snapshot: { mode: 'no_data' } }, sink: { type } },
    ]);
    for (const [what, sql, size] of changes) {
      // Each in a process of its own: what an earlier one left to the collector is no room for the next.
      daemon.log.length = 0;
      daemon.start();
      await daemon.waitForLog(isStreaming);
      await sleep(500);
      const before = await daemon.residentBytes();
      await resetPeak(daemon);
      await postgres.query(sql, database);
      const empty = setInterval(() => {
        daemon.stdout = '';
      }, 20);
      await bench.caughtUp(name, 120_000);
      clearInterval(empty);
      daemon.stdout = '';
      const grown = (await daemon.residentBytes('VmHWM')) - before;
      bench.figure(
        `a row of ${mb(bytes)}, ${what}, into ${type}`,
        `${mb(grown)} above the ${mb(before)} before: ${(grown / size).toFixed(1)} × the ${mb(size)} of one change`,
      );
      // stdout makes copies of its own.
      const bound = (type === 'stdout' ? 6 : 3) * size + 64 * MIB;
      bench.verdict(`${what} into ${type}: memory above what it was`, grown / MB, bound / MB, 'MB');
      await daemon.stop();
    }
    await postgres.query('delete from wide', database);
    await daemon.dispose();
  }
  await refused(bench, database, text, 'nats', { servers: [nats.url], stream: 'WIDE' }, 'SLUICE_NATS_MESSAGE_TOO_LARGE');
  let kafka: KafkaServer;
  try {
    kafka = await startKafka({ own: true });
  } catch (error) {
    process.stdout.write(`        Kafka is not there: ${String(error)}\n`);
    return;
  }
  try {
    await refused(bench, database, text, 'kafka', { brokers: kafka.brokers }, 'SLUICE_KAFKA_MESSAGE_TOO_LARGE');
  } finally {
    await kafka.dispose();
  }
}

/** A sink that does not take it: a typed stop, and no crash. */
async function refused(bench: Bench, database: string, text: string, type: string, options: object, code: string): Promise<void> {
  const { postgres } = bench;
  const name = `row-${type}`;
  const source = { type: 'postgres', url: postgres.url(database), tables: ['public.wide'], snapshot: { mode: 'no_data' } };
  const daemon = await Daemon.create([{ name, source, sink: { type, ...options } }]);
  daemon.start();
  await daemon.waitForLog(isStreaming);
  await postgres.query(`delete from wide; insert into wide select 1, 1, ${text}`, database);
  const exit = await Promise.race([daemon.exit(), sleep(120_000).then(() => -2)]);
  const said = daemon.log.find((line) => line.level === 'error')?.code ?? 'nothing';
  bench.figure(`a row that ${type} does not take`, `${said}, exit code ${exit}`);
  bench.verdict(`a row that ${type} does not take: no typed stop`, said === code && exit === 3 ? 0 : 1, 0, '');
  await daemon.dispose();
}

/** Many tables in the publication, of which one is active, then all: against one table. */
export async function manyTables(bench: Bench, count: number): Promise<void> {
  const { postgres } = bench;
  const started: Record<string, number[]> = {};
  const peaks: number[] = [];
  for (const tables of [1, count]) {
    const name = tables === 1 ? 'one-table' : 'many-tables';
    const database = await postgres.createDatabase(name.replace('-', '_'));
    for (let from = 1; from <= tables; from += 500) {
      const to = Math.min(tables, from + 499);
      const create = "execute format('create table t%s(id bigint primary key, n int, name text, amount numeric(12,2), at timestamptz)', i)";
      await postgres.query(`do $$ begin for i in ${from}..${to} loop ${create}; end loop; end $$`, database);
    }
    const daemon = await Daemon.create([
      {
        name,
        source: { type: 'postgres', url: postgres.url(database), tables: ['public.*'], snapshot: { mode: 'no_data' } },
        sink: { type: 'blackhole' },
      },
    ]);
    const times: number[] = [];
    // The first start makes publication and slot.
    for (let start = 0; start < 2; start++) {
      if (start > 0) await daemon.stop();
      daemon.log.length = 0;
      const from = performance.now();
      daemon.start();
      await daemon.waitForLog(isStreaming, 600_000);
      times.push((performance.now() - from) / 1000);
    }
    started[name] = times;
    const insert = (table: string): string => `insert into %I select coalesce(max(id), 0) + 1, 1, ''x'', 1.5, now() from ${table}`;
    await postgres.query(`do $$ begin execute format('${insert('t1')}', 't1'); end $$`, database);
    await bench.caughtUp(name, 600_000);
    await sleep(1000);
    peaks.push(await daemon.residentBytes('VmHWM'));
    bench.figure(
      `${tables} table(s), one active`,
      `streaming after ${times.map((time) => time.toFixed(1)).join(' s (first start), ')} s, peak ${mb(peaks.at(-1) ?? 0)}`,
    );
    if (tables > 1) {
      for (const round of ['first', 'second']) {
        const from = performance.now();
        for (let low = 1; low <= tables; low += 1000) {
          const high = Math.min(tables, low + 999);
          const each = `execute format('insert into t%s select coalesce(max(id), 0) + 1, 1, ''x'', 1.5, now() from t%s', i, i)`;
          await postgres.query(`do $$ begin for i in ${low}..${high} loop ${each}; end loop; end $$`, database);
        }
        const wrote = (performance.now() - from) / 1000;
        const more = await bench.caughtUp(name, 600_000);
        peaks.push(await daemon.residentBytes('VmHWM'));
        bench.figure(
          `${tables} tables, all active, ${round} row of each`,
          `written in ${wrote.toFixed(1)} s, captured ${more.toFixed(1)} s later, peak ${mb(peaks.at(-1) ?? 0)}`,
        );
        if (round === 'first') bench.verdict(`the first row of each of ${tables} tables: captured after`, more, tables / 200, 's');
      }
      await daemon.stop();
      const first = performance.now();
      daemon.log.length = 0;
      daemon.start();
      await daemon.waitForLog(isStreaming, 600_000);
      bench.figure(`${tables} tables known, start again`, `streaming after ${((performance.now() - first) / 1000).toFixed(1)} s`);
    }
    await daemon.stop();
    await daemon.dispose();
  }
  const [[, one = 0] = [], [, many = 0] = []] = Object.values(started);
  bench.verdict(`${count} tables: start against one table, more`, many - one, count / 1000, 's');
  bench.verdict(`${count} tables, one active: peak memory more than for one`, ((peaks[1] ?? 0) - (peaks[0] ?? 0)) / MB, 30 + count / 200, 'MB');
  bench.verdict(`${count} tables, all active: peak memory more than for one`, ((peaks[3] ?? 0) - (peaks[0] ?? 0)) / MB, 50 + count / 40, 'MB');
}

/** Two connectors with slow sinks, and much more log than fits: the budget holds, both go on, and all arrives when the sinks are quick again. */
export async function oneBudget(bench: Bench, megabytes: number): Promise<void> {
  for (const maxMemory of [null, megabytes]) {
    const { peak, base, buffers } = await throttled(bench, maxMemory);
    const what = `two connectors, slow sinks, maxMemory ${maxMemory === null ? 'not set' : `${maxMemory} MiB`}`;
    bench.figure(what, `buffers ${mb(buffers)} at the most, peak ${mb(peak)} (${mb(base)} before)`);
    if (maxMemory === null) continue;
    // One batch each beyond the budget; in the process also their windows (8 MiB each), and what the collector has not taken yet.
    bench.verdict(`${what}: buffers`, buffers / MIB, maxMemory + 2 * 4, 'MiB');
    bench.verdict(`${what}: memory above what it was`, (peak - base) / MIB, maxMemory + 2 * (4 + 8) + 32, 'MiB');
  }
}

async function throttled(
  { postgres, nats, caughtUp, verdict }: Bench,
  maxMemory: number | null,
): Promise<{ peak: number; base: number; buffers: number }> {
  const links = [await startLink(nats.url), await startLink(nats.url)];
  const names = [`left-${maxMemory ?? 0}`, `right-${maxMemory ?? 0}`];
  const connectors: { name: string }[] = [];
  const databases: string[] = [];
  for (const [index, name] of names.entries()) {
    const database = await postgres.createDatabase(name.replace('-', '_'));
    databases.push(database);
    await postgres.query('create table big(id bigint primary key, n int, name text, body text)', database);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.big'], snapshot: { mode: 'no_data' } };
    connectors.push({ name, source, sink: { type: 'nats', servers: [`nats://${links[index]?.address}`], stream: name.toUpperCase() } } as {
      name: string;
    });
  }
  const daemon = await Daemon.create(connectors, maxMemory === null ? {} : { maxMemory: `${maxMemory}MiB` });
  daemon.start();
  for (const name of names) await daemon.waitForLog((line) => isStreaming(line) && line.connector === name);
  await sleep(1000);
  const base = await daemon.residentBytes();
  await resetPeak(daemon);
  for (const link of links) link.bytesPerSecond = 2e6;
  const rows = `insert into big select i, 1, 'customer ' || i, rpad(md5(i::text), 300, 'x') from generate_series(1, 300000) i`;
  await Promise.all(databases.map((database) => postgres.query(rows, database)));
  const metrics = `${await daemon.healthUrl()}/metrics`;
  let buffers = 0;
  const counts: number[][] = [];
  for (let second = 0; second < 20; second++) {
    await sleep(1000);
    const text = await (await fetch(metrics)).text();
    const values = (metric: string): number[] => [...text.matchAll(new RegExp(`^${metric}\\{.*\\} (.+)$`, 'gm'))].map(([, value]) => Number(value));
    buffers = Math.max(
      buffers,
      values('sluice_buffer_bytes').reduce((sum, value) => sum + value, 0),
    );
    counts.push(values('sluice_messages_total'));
  }
  const moved = names.map((_, index) => (counts.at(-1)?.[index] ?? 0) - (counts[9]?.[index] ?? 0));
  verdict(`slow sinks, maxMemory ${maxMemory ?? 'not set'}: connectors that stood still`, moved.filter((count) => count <= 0).length, 0, '');
  const peak = await daemon.residentBytes('VmHWM');
  for (const link of links) link.bytesPerSecond = Number.POSITIVE_INFINITY;
  for (const name of names) verdict(`${name}: caught up after`, await caughtUp(name, 120_000), 60, 's');
  await daemon.stop();
  await daemon.dispose();
  for (const link of links) await link.close();
  return { peak, base, buffers };
}
