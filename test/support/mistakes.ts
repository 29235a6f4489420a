/** A user's mistakes, tried with the built daemon: helpers that look at all that it says. */
import { expect } from 'vitest';
import { Daemon } from './daemon.ts';

export const CANARY = 'canary-9f2c-secret';
export const PASSWORD = `right-${CANARY}`;
export const WRONG_PASSWORD = `wrong-${CANARY}`;

export type Section = Record<string, unknown>;

let daemon: Daemon | null = null;

/** Call it after each test. */
export async function disposeDaemon(): Promise<void> {
  await daemon?.dispose();
  daemon = null;
}

/** Nothing that a user's mistake brings forth may hold a secret, a stack or a placeholder that was not filled. */
export function expectClean(output: string): void {
  expect(output).not.toContain(CANARY);
  expect(output).not.toMatch(/^\s+at |"stack"|\bundefined\b|\[object /m);
}

/** A sentence: what all messages and log lines are. */
export const SENTENCE = /^["A-Z][\s\S]*[.!?]$/;

export interface Case {
  readonly source?: Section;
  readonly sink?: Section;
  readonly top?: Section;
  readonly settings?: Section;
  readonly environment?: Record<string, string>;
}

export async function create({ source = {}, sink = { type: 'stdout' }, top = {}, settings = {} }: Case): Promise<Daemon> {
  const connector = {
    name: 'shop',
    source: {
      type: 'postgres',
      url: 'postgres://sluice@127.0.0.1:1/shop',
      password: '${env:SHOP_DB_PASSWORD}',
      tables: ['public.orders'],
      ...source,
    },
    sink,
    ...top,
  };
  daemon = await Daemon.create([connector], settings);
  return daemon;
}

export const environmentOf = ({ environment }: Case): Record<string, string> => environment ?? { SHOP_DB_PASSWORD: PASSWORD };

/** Runs a daemon whose connector stops for good, and answers with the one error that it said. */
export async function failure(wrong: Case): Promise<{ exit: number; code: string | undefined; msg: string; remedy: string }> {
  const running = await create(wrong);
  const exit = await running.start([], environmentOf(wrong)).exit();
  expectClean(running.stderr + running.stdout);
  expect(running.other).toEqual([]);
  const errors = running.log.filter(({ level }) => level === 'error');
  expect(errors.map(({ code }) => code)).toHaveLength(1);
  for (const { msg } of running.log) expect(msg).toMatch(SENTENCE);
  const { code, msg = '', remedy = '' } = errors[0] ?? {};
  expect(remedy).not.toBe('');
  return { exit, code, msg, remedy };
}

/** The same trouble is said once, however often it is tried again; SIGTERM ends the waiting with 0, and so many attempts end it with 3. */
export async function expectWaiting(wrong: Case, code: string): Promise<void> {
  const retry = { initialDelay: '20ms', maxDelay: '50ms', jitter: false };
  const running = await create({ ...wrong, top: { retry } });
  running.start([], environmentOf(wrong));
  const url = await running.healthUrl();
  const attempts = async (): Promise<number> => {
    const { connectors } = (await (await fetch(`${url}/readyz`)).json()) as { connectors: { attempts: number }[] };
    return connectors[0]?.attempts ?? 0;
  };
  await expect.poll(attempts, { timeout: 15_000 }).toBeGreaterThan(3);
  expect(running.log.filter(({ level }) => level === 'warn')).toEqual([
    expect.objectContaining({ code, msg: expect.stringMatching(/\. Trying again\.$/) }),
  ]);
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  expect(await running.stop('SIGTERM')).toBe(0);
  expectClean(running.stderr);
  await running.dispose();

  const once = await create({ ...wrong, top: { retry: { ...retry, maxAttempts: 2 } } });
  expect(await once.start(['--once'], environmentOf(wrong)).exit()).toBe(3);
  expect(once.log.filter(({ level }) => level === 'error')).toEqual([expect.objectContaining({ code, remedy: expect.any(String) })]);
  expectClean(once.stderr);
}
