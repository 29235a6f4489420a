/** Looks for tables that have come while the log is read, puts them into the publication and lets the connector begin anew with them. */
import type pg from 'pg';
import { rootMessage, SluiceError, type SourceContext, type Timer } from '#plugin';
import type { ControlConnection } from '../client.ts';
import type { PostgresConfig } from '../config.ts';
import { publicationBusy } from '../errors.ts';
import { withinLimit } from '../server.ts';
import { type NewTable, planCapture } from './capture.ts';
import { newTable, newTableRefused } from './errors.ts';
import type { PreparedLog } from './prepare.ts';
import { asTransaction, changePublications } from './publication.ts';
import type { Relation } from './relation.ts';
import { type Noted, noted } from './remembered.ts';

// One row, however many tables there are: whether one was created, dropped, renamed or made logged since.
const FINGERPRINT = `SELECT count(*) || ' ' || COALESCE(sum(hashtextextended(concat_ws(' ', c.oid, n.nspname, c.relname, c.relpersistence), 0)), 0) AS tables
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')`;

export class NewTables {
  readonly #config: PostgresConfig;
  readonly #context: SourceContext;
  readonly #control: ControlConnection;
  readonly #prepared: PreparedLog;
  /** OIDs of captured tables that changes were dropped of, as they had a name that is not captured. */
  readonly #left = new Set<number>();
  /** By `schema.name`, what was said of it. */
  readonly #said: Map<string, string>;
  #fingerprint = '';
  /** Something stands in the way of a table: it may be gone at the next look. */
  #isWaiting = false;
  #timer: Timer | null = null;
  #failing = false;
  #isClosed = false;
  #noting: Promise<void> = Promise.resolve();

  constructor(config: PostgresConfig, context: SourceContext, control: ControlConnection, prepared: PreparedLog) {
    this.#config = config;
    this.#context = context;
    this.#control = control;
    this.#prepared = prepared;
    this.#said = new Map([...prepared.aside].map(([table, { message }]) => [table, message]));
  }

  start(): void {
    this.#timer = this.#context.runtime.setTimer(() => void this.#look(), this.#config.newTablesInterval, true);
  }

  stop(): void {
    this.#timer?.clear();
    this.#timer = null;
  }

  /** Nothing is noted any more when it resolves: the next life reads what was. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.stop();
    await this.#noting;
  }

  /** Whether a relation of the log that is not captured is a captured table under another name, of which changes will be missed from here on. */
  leaves({ oid }: Relation): boolean {
    return !this.#left.has(oid) && this.#prepared.tables.some((table) => table.oid === oid);
  }

  /** Durable before any of its changes is dropped: should it come back, what was copied of it says nothing any more. */
  async noteLeft({ oid, schema, name }: Relation): Promise<void> {
    await this.#note(({ left }) => ({ left: { ...left, [oid]: (left[oid] ?? 0) + 1 } }));
    this.#left.add(oid);
    const table = this.#prepared.tables.find((each) => each.oid === oid)?.label ?? '';
    this.#context.log.info(`Table ${table} is called ${schema}.${name} now: its changes are not captured under that name.`, { table });
  }

  async #look(): Promise<void> {
    const timer = this.#timer;
    try {
      const isFound = await this.#control.run('the look for new tables', (client) => this.#lookWith(client));
      this.#failing = false;
      if (this.#timer !== timer) return;
      if (isFound) {
        // The next life prepares all anew, and copies them.
        this.stop();
        this.#context.renew();
        return;
      }
    } catch (error) {
      // Stopped meanwhile: its connection was closed under it.
      if (this.#timer !== timer) return;
      const remedy = error instanceof SluiceError ? error.remedy : 'See the log of the server.';
      if (!this.#failing) {
        this.#context.log.warn(`It could not be looked for new tables; it is tried again: ${rootMessage(error)}.`, {
          code: 'SLUICE_PG_NEW_TABLES',
          remedy,
        });
      }
      this.#failing = true;
    }
    if (this.#timer === timer) this.start();
  }

  /** True: there are tables to begin with. */
  async #lookWith(client: pg.Client): Promise<boolean> {
    const { rows } = await client.query<{ tables: string }>(withinLimit(FINGERPRINT));
    const fingerprint = rows[0]?.tables ?? '';
    // Of a table that has left and is back there may be no sign.
    if (fingerprint === this.#fingerprint && !this.#isWaiting && this.#left.size === 0) return false;
    const { members, server, slot, tables } = this.#prepared;
    const capture = await planCapture(client, this.#config, {
      connector: this.#context.connector,
      slot,
      slotExists: true,
      server,
      before: { published: members, patterns: this.#config.tables },
      added: [],
      refusalOf: this.#context.refusalOf,
    });
    const aside = new Map(capture.aside);
    let isFound = false;
    for (const found of capture.added) {
      const refused = await this.#add(client, found);
      if (refused === null) isFound = true;
      else aside.set(found.table.label, refused);
    }
    this.#say(aside);
    this.#fingerprint = fingerprint;
    this.#isWaiting = [...aside.values()].some(({ code }) => code !== newTable.code);
    const isBack = capture.matched.tables.some(({ oid, label }) => this.#left.has(oid) && tables.some((table) => table.label === label));
    return isFound || isBack;
  }

  /** Null: it stands in a publication now. */
  async #add(client: pg.Client, { table, plan }: NewTable): Promise<SluiceError | null> {
    const { statements } = plan;
    if (statements.length === 0) return null;
    await this.#note(({ added }) => ({ added: [...new Set([...added, ...plan.added])] }));
    const sql = statements.join('; ');
    try {
      await changePublications(client, statements);
    } catch (error) {
      const answer = error instanceof SluiceError && error.kind === publicationBusy ? error.cause : error;
      const { code, severity, message } = answer as { code?: string; severity?: string; message?: string };
      if (severity === undefined || code === undefined) throw error;
      const parameters = { table: table.label, detail: message ?? '', sqlstate: code, sql: asTransaction(statements) };
      return new SluiceError(newTableRefused, parameters, { table: table.label, cause: error });
    }
    this.#context.log.info('The publication was changed.', { statement: sql });
    return null;
  }

  /** One after the other: none is written over. */
  #note(change: (known: Noted) => Partial<Noted>): Promise<void> {
    const { intent } = this.#context;
    const result = this.#noting.then(async () => {
      if (this.#isClosed) throw new Error('closed');
      const found = ((await intent.get()) ?? {}) as object;
      await intent.set({ ...found, ...change(noted(found)) });
    });
    this.#noting = result.catch(() => undefined);
    return result;
  }

  /** Each once, and again when it is something else. */
  #say(aside: ReadonlyMap<string, SluiceError>): void {
    for (const label of this.#said.keys()) if (!aside.has(label)) this.#said.delete(label);
    for (const [table, { code, message, remedy }] of aside) {
      if (this.#said.get(table) === message) continue;
      this.#said.set(table, message);
      this.#context.log.warn(message, { code, remedy, table });
    }
  }
}
