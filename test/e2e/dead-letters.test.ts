/** Messages that can never be delivered: kept, in order, before the checkpoint passes them; looked at, sent again and let go by `sluice dlq`. */
import { jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { kafkaLimited, LARGE, type LimitedSink, natsLimited } from '../support/limited-sinks.ts';
import { SINK_KINDS } from '../support/long-form.ts';

interface View {
  readonly id: string;
  readonly destination: string;
  readonly code: string;
  readonly superseded: boolean;
}

const CODES = ['SLUICE_NATS_MESSAGE_TOO_LARGE', 'SLUICE_KAFKA_MESSAGE_TOO_LARGE'];

describe('dead letters', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let kafka: KafkaServer | null = null;
  let daemon: Daemon | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
    if (availableKafkas.length > 0) kafka = await startKafka({ own: true });
  });

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose(), kafka?.dispose()]));

  async function target(kind: string): Promise<LimitedSink> {
    const name = `dead${++count}`;
    return kind === 'nats' ? natsLimited(nats, name.toUpperCase()) : kafkaLimited(kafka as KafkaServer, name, kind);
  }

  /** A daemon that streams a table of its own. */
  async function begin(
    to: LimitedSink,
    options: Readonly<Record<string, unknown>>,
    settings: Record<string, unknown> = {},
  ): Promise<{ readonly database: string; readonly daemon: Daemon }> {
    const database = await postgres.createDatabase('dead');
    await postgres.query('CREATE TABLE t (id bigint PRIMARY KEY, v text NOT NULL)', database);
    const source = {
      type: 'postgres',
      url: postgres.url(database),
      tables: ['public.t'],
      slot: `dead_${count}`,
      publication: `dead_${count}`,
      snapshot: { mode: 'no_data' },
    };
    daemon = await Daemon.create([{ name: 'shop', source, sink: to.sink, checkpoint: { maxDelay: '20ms' }, ...options }], settings);
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    return { database, daemon };
  }

  const insert = (database: string, id: number, length: number): Promise<unknown> =>
    postgres.query(`INSERT INTO t VALUES (${id}, repeat('x', ${length}))`, database);
  const list = async (running: Daemon): Promise<View[]> => JSON.parse((await sluice(['dlq', 'list', '--json', running.directory])).stdout) as View[];
  const rows = async (to: LimitedSink): Promise<number[]> =>
    (await to.stored()).filter(({ destination }) => destination !== to.deadLetterTopic).flatMap(({ row }) => row ?? []);

  it('over HTTP: listed, shown without its content (I12), sent again and dropped, each by its id', async () => {
    const to = await target('nats');
    const { database, daemon: running } = await begin(
      to,
      { onError: 'deadLetter', deadLetter: { topic: to.deadLetterTopic, maxPercent: 100 } },
      { http: { listen: '127.0.0.1:0' } },
    );
    await insert(database, 1, LARGE);
    await insert(database, 2, LARGE);
    const api = `${await running.apiUrl()}/connectors/shop/dead-letters`;
    const http = async (method: string, path: string): Promise<{ status: number; text: string; body: never }> => {
      const response = await fetch(api + path, { method });
      const text = await response.text();
      return { status: response.status, text, body: JSON.parse(text) as never };
    };
    await expect.poll(async () => (await http('GET', '')).body, { timeout: 20_000 }).toHaveLength(2);
    const [first, second] = (await http('GET', '')).body as View[];
    const path = (view: View | undefined): string => `/${encodeURIComponent(view?.id ?? '')}`;
    const shown = await http('GET', path(first));
    expect([shown.status, shown.body]).toEqual([200, first]);
    expect(shown.text).not.toContain('xxxx');
    expect(await http('GET', '/shop%2Fnothing')).toMatchObject({ status: 404, body: { code: 'SLUICE_DEAD_LETTER_UNKNOWN' } });
    expect((await http('POST', `${path(first)}/replay`)).body).toMatchObject([{ id: first?.id, outcome: 'refused' }]);
    expect((await http('DELETE', path(first))).body).toMatchObject([{ id: first?.id }]);
    expect((await http('DELETE', path(first))).status).toBe(404);
    expect((await http('GET', '')).body).toMatchObject([{ id: second?.id }]);
    await to.allow();
    await fetch(`${api.replace('/dead-letters', '')}/restart`, { method: 'POST' });
    await expect
      .poll(async () => (await http('POST', `${path(second)}/replay`)).body, { timeout: 20_000 })
      .toMatchObject([{ id: second?.id, outcome: 'replayed' }]);
    expect(await rows(to)).toEqual([2]);
    expect((await sluice(['dlq', 'drop', '--all', running.directory])).stdout).toBe('0 discarded.\n');
    expect(await running.stop('SIGTERM')).toBe(0);
  });

  it.each(SINK_KINDS)('%s: kept by policy, the others go on in order; sent again when the cause is mended (I1, I3)', async (kind) => {
    const to = await target(kind);
    const { database, daemon: running } = await begin(to, { onError: 'deadLetter', deadLetter: { topic: to.deadLetterTopic, maxPercent: 100 } });
    for (const [id, length] of [
      [1, 10],
      [2, LARGE],
      [3, 10],
      [4, LARGE],
      [5, LARGE],
      [6, 10],
    ] as const)
      await insert(database, id, length);
    // The key of the fifth is published again: it must not be overwritten later.
    await postgres.query(`UPDATE t SET v = 'new' WHERE id = 5`, database);
    await expect.poll(() => rows(to), { timeout: 20_000 }).toEqual([1, 3, 6, 5]);
    const letters = await list(running);
    expect(letters.map(({ code }) => CODES.includes(code))).toEqual([true, true, true]);
    expect(letters.map(({ superseded }) => superseded)).toEqual([false, false, true]);
    // The topic names them: they are too large for it as well.
    await expect.poll(async () => (await to.stored()).filter(({ destination }) => destination === to.deadLetterTopic).length).toBe(3);
    const [named] = (await to.stored()).filter(({ destination }) => destination === to.deadLetterTopic);
    expect(named?.headers).toMatchObject({ 'sluice.dead-letter.id': letters[0]?.id, 'sluice.dead-letter.code': letters[0]?.code });
    const shown = JSON.parse((await sluice(['dlq', 'show', '--id', letters[0]?.id ?? '', running.directory])).stdout) as { value: string };
    expect((JSON.parse(shown.value) as { after: { id: number; v: string } }).after).toEqual({ id: 2, v: 'x'.repeat(LARGE) });

    // A crash: nothing of it comes twice.
    await running.stop('SIGKILL');
    await to.allow();
    running.start();
    await expect.poll(() => running.log.filter(({ msg }) => msg.startsWith('Streaming')).length, { timeout: 20_000 }).toBe(2);
    const replayed = await sluice(['dlq', 'replay', '--all', '--json', running.directory]);
    const outcomes = (JSON.parse(replayed.stdout) as { id: string; outcome: string }[]).map(({ outcome }) => outcome);
    expect([replayed.exit, outcomes]).toEqual([1, ['replayed', 'replayed', 'superseded']]);
    expect(await rows(to)).toEqual([1, 3, 6, 5, 2, 4]);
    expect(await list(running)).toHaveLength(1);
    expect((await sluice(['dlq', 'discard', '--all', running.directory])).stdout).toBe('1 discarded.\n');
    expect(await list(running)).toEqual([]);
    expect(await running.stop('SIGTERM')).toBe(0);
    expect(await list(running)).toEqual([]);
    expect(running.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it.each(SINK_KINDS)(
    '%s: trap: a limit that is raised while it runs: the letter is sent again, and new rows go through, without a restart',
    async (kind) => {
      const to = await target(kind);
      const { database, daemon: running } = await begin(to, { onError: 'deadLetter', deadLetter: { maxPercent: 100 } });
      await insert(database, 1, LARGE);
      await expect.poll(async () => (await list(running)).length, { timeout: 20_000 }).toBe(1);
      await to.allow();
      expect(await sluice(['dlq', 'replay', '--all', running.directory])).toMatchObject({ exit: 0 });
      await insert(database, 2, LARGE);
      await expect.poll(() => rows(to), { timeout: 20_000 }).toEqual([1, 2]);
      expect(await list(running)).toEqual([]);
    },
  );

  it('two codes in one run, each with its route: a letter in a topic of its own, and a table that stops', async () => {
    const name = `TWO${++count}`;
    const to = await natsLimited(nats, name);
    const routes = { SLUICE_NATS_MESSAGE_TOO_LARGE: `${name}.letters.large`, SLUICE_NATS_REFUSED: 'stopTable' };
    const { database, daemon: running } = await begin(to, { onError: 'deadLetter', deadLetter: { routes, maxPercent: 100 } });
    const codes = async (what: 'dlq' | 'tables') =>
      (JSON.parse((await sluice([what, 'list', '--json', running.directory])).stdout) as { code: string }[]).map(({ code }) => code);
    for (const [id, length] of [
      [1, 10],
      [2, LARGE],
      [3, 10],
    ] as const)
      await insert(database, id, length);
    const named = async (): Promise<number> => (await to.stored()).filter(({ destination }) => destination === `${name}.letters.large`).length;
    await expect.poll(named, { timeout: 20_000 }).toBe(1);
    await expect.poll(() => rows(to), { timeout: 20_000 }).toEqual([1, 3]);
    // From now on the server refuses each message, with a code of its own.
    const connection = await connect({ servers: nats.url });
    const { streams } = await jetstreamManager(connection);
    await streams.update(name, { ...(await streams.info(name)).config, sealed: true } as Partial<StreamConfig>);
    await connection.close();
    await insert(database, 4, 10);
    await running.waitForLog(({ code }) => code === 'SLUICE_TABLE_STOPPED');
    await insert(database, 5, LARGE);
    // A sealed stream is good for nothing any more: the next life says so, and nothing is let go for it.
    for (let life = 0; life < 2; life++) {
      expect(await running.exit()).toBe(3);
      expect(running.logSinceStart.filter(({ level }) => level === 'error').map(({ code }) => code)).toEqual(['SLUICE_NATS_STREAM_UNFIT']);
      expect(await codes('tables')).toEqual(['SLUICE_NATS_REFUSED']);
      expect(await codes('dlq')).toEqual(['SLUICE_NATS_MESSAGE_TOO_LARGE']);
      running.start();
    }
    expect(await rows(to)).toEqual([1, 3]);
  });

  it.each(SINK_KINDS)('%s: kill -9 around them: each is kept once, none is lost (I1, I4)', async (kind) => {
    const to = await target(kind);
    const { database, daemon: running } = await begin(to, { onError: 'deadLetter', deadLetter: { maxPercent: 100 } });
    const large: number[] = [];
    const small: number[] = [];
    for (let round = 0; round < 5; round++) {
      for (let id = round * 20; id < round * 20 + 20; id++) {
        (id % 4 === 3 ? large : small).push(id);
        await insert(database, id, id % 4 === 3 ? LARGE : 10);
      }
      await running.stop('SIGKILL');
      running.start();
    }
    await expect.poll(async () => (await rows(to)).length, { timeout: 60_000 }).toBe(small.length);
    expect(await rows(to)).toEqual(small);
    await expect.poll(async () => (await list(running)).length, { timeout: 20_000 }).toBe(large.length);
    const ids = (await list(running)).map(({ id }) => id);
    expect(new Set(ids).size).toBe(large.length);
    expect((await sluice(['dlq', 'discard', '--id', ids[3] ?? '', running.directory])).stdout).toBe('1 discarded.\n');
    expect(await running.stop('SIGTERM')).toBe(0);
    // Without a daemon the file is read itself.
    expect((await list(running)).map(({ id }) => id)).toEqual(ids.filter((id) => id !== ids[3]));
    expect((await sluice(['dlq', 'replay', '--all', running.directory])).stderr).toContain('SLUICE_DEAD_LETTER_STOPPED');
  });

  it.each(SINK_KINDS)('%s: too many of them are a wrong setting, and the connector stops', async (kind) => {
    const to = await target(kind);
    const { database, daemon: running } = await begin(to, { onError: 'deadLetter', deadLetter: { maxPercent: 20 } });
    for (let id = 0; id < 12; id++) await insert(database, id, LARGE);
    expect(await running.exit()).toBe(1);
    expect(running.log.filter(({ level }) => level === 'error').map(({ code }) => code)).toEqual(['SLUICE_DEAD_LETTER_RATE']);
    expect(await list(running)).toHaveLength(9);
  });

  it.each(SINK_KINDS)('%s: an error can have a route of its own: here it stops', async (kind) => {
    const to = await target(kind);
    const code = CODES[kind === 'nats' ? 0 : 1] as string;
    const { database, daemon: running } = await begin(to, { onError: 'deadLetter', deadLetter: { routes: { [code]: 'stop' } } });
    await insert(database, 1, LARGE);
    expect(await running.exit()).toBe(3);
    expect(running.log.filter(({ level }) => level === 'error').map((line) => line.code)).toEqual([code]);
    expect(await list(running)).toEqual([]);
  });
});
