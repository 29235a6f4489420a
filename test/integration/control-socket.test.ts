import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { controlRequest } from '../../src/cli/control-client.ts';
import { type ControlHandlers, type ControlSocket, startControlSocket } from '../../src/daemon/control-socket.ts';
import { defineError, SluiceError } from '../../src/plugin/error.ts';

const cleanup: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const each of cleanup.splice(0).reverse()) await each();
});

async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'sluice-control-'));
  cleanup.push(() => rm(made, { recursive: true }));
  return made;
}

async function start(at: string, handlers: ControlHandlers = {}): Promise<ControlSocket> {
  const socket = await startControlSocket({ directory: at, handlers });
  cleanup.push(() => socket.close());
  return socket;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof SluiceError ? error.code : String(error)),
  );
}

const REFUSED = defineError({ code: 'SLUICE_TEST_REFUSED', retry: 'never', exit: 2, cause: 'no {what} "{name}"', remedy: 'name another {what}' });

describe('the control socket', () => {
  it('hands requests to the handlers, JSON in and out', async () => {
    const at = await directory();
    await start(at, {
      status: async () => ({ connectors: [{ name: 'shöp' }] }),
      'offsets/set': async (body) => ({ got: body }),
      nothing: async () => undefined,
    });
    expect(await controlRequest(at, 'status')).toEqual({ connectors: [{ name: 'shöp' }] });
    expect(await controlRequest(at, 'offsets/set', { connector: 'ü', n: null })).toEqual({ got: { connector: 'ü', n: null } });
    expect(await controlRequest(at, 'offsets/set')).toEqual({ got: undefined });
    expect(await controlRequest(at, 'nothing')).toBeNull();
  });

  it('hands a typed error to the client as it is, braces in it too', async () => {
    const at = await directory();
    await start(at, {
      fail: async () => {
        throw new SluiceError(REFUSED, { what: 'connector', name: '{what}' });
      },
      bug: async () => {
        throw new TypeError('x is not a function');
      },
    });
    const error = (await controlRequest(at, 'fail').catch((thrown: unknown) => thrown)) as SluiceError;
    expect(error).toBeInstanceOf(SluiceError);
    expect([error.code, error.message, error.remedy, error.kind.exit, error.kind.retry]).toEqual([
      'SLUICE_TEST_REFUSED',
      'no connector "{what}"',
      'name another connector',
      2,
      'never',
    ]);
    expect(await codeOf(controlRequest(at, 'bug'))).toBe('SLUICE_CONTROL_INTERNAL');
    expect(await codeOf(controlRequest(at, 'none'))).toBe('SLUICE_CONTROL_ROUTE');
    expect(await codeOf(controlRequest(at, 'toString'))).toBe('SLUICE_CONTROL_ROUTE');
  });

  it('refuses what is not JSON or too large, and goes on', async () => {
    const at = await directory();
    await start(at, { x: async (body) => body });
    const status = await new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: join(at, 'control.sock'), method: 'POST', path: '/x' }, (incoming) => {
        incoming.resume();
        resolve(incoming.statusCode);
      });
      outgoing.on('error', reject);
      outgoing.end('{');
    });
    expect(status).toBe(400);
    expect(['SLUICE_CONTROL_REQUEST', 'SLUICE_CONTROL_FAILED']).toContain(await codeOf(controlRequest(at, 'x', 'y'.repeat(2_000_000))));
    expect(await controlRequest(at, 'x', [1])).toEqual([1]);
  });

  it('is for its user only, from the moment it exists', async () => {
    const at = await directory();
    await chmod(at, 0o755);
    const before = process.umask();
    await start(at);
    expect((await stat(join(at, 'control.sock'))).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(before);
  });

  it('tells apart that no daemon runs: no directory, no socket, a dead socket', async () => {
    const at = await directory();
    expect(await codeOf(controlRequest(join(at, 'none'), 'status'))).toBe('SLUICE_CONTROL_NO_DAEMON');
    expect(await codeOf(controlRequest(at, 'status'))).toBe('SLUICE_CONTROL_NO_DAEMON');
    await deadSocket(at);
    expect(await codeOf(controlRequest(at, 'status'))).toBe('SLUICE_CONTROL_NO_DAEMON');
  });

  it('takes the place of the socket of a dead process, never of one that answers', async () => {
    const at = await directory();
    await deadSocket(at);
    const first = await start(at, { status: async () => 'first' });
    expect(await codeOf(startControlSocket({ directory: at, handlers: {} }))).toBe('SLUICE_CONTROL_IN_USE');
    expect(await controlRequest(at, 'status')).toBe('first');
    await first.close();
    expect(await readdir(at)).toEqual([]);
    await first.close();
  });

  it('answers what is under way when it is closed, and does not wait for a client that only holds a connection', async () => {
    const at = await directory();
    let release = (): void => undefined;
    let entered = (): void => undefined;
    const inside = new Promise<void>((resolve) => (entered = resolve));
    const socket = await start(at, {
      slow: async () => {
        entered();
        await new Promise<void>((resolve) => (release = resolve));
        return 'done';
      },
    });
    const idle = connect(join(at, 'control.sock'));
    await once(idle, 'connect');
    idle.on('error', () => undefined);
    const slow = controlRequest(at, 'slow');
    await inside;
    const closing = socket.close();
    release();
    expect(await slow).toBe('done');
    await closing;
    idle.destroy();
  });

  it('says so if the daemon dies in the middle of a request', async () => {
    const at = await directory();
    const server = createServer((client) => client.once('data', () => client.destroy()));
    server.listen(join(at, 'control.sock'));
    await once(server, 'listening');
    cleanup.push(async () => server.close());
    expect(await codeOf(controlRequest(at, 'status'))).toBe('SLUICE_CONTROL_FAILED');
  });

  it('a directory whose path is longer than a socket may have: by the relative path, or a typed error (107 bytes, unix(7))', async () => {
    const at = await directory();
    const long = join(at, 'x'.repeat(60), 'y'.repeat(60));
    await mkdir(long, { recursive: true });
    expect(await codeOf(startControlSocket({ directory: long, handlers: {} }))).toBe('SLUICE_CONTROL_PATH');
    expect(await codeOf(controlRequest(long, 'status'))).toBe('SLUICE_CONTROL_PATH');
    const before = process.cwd();
    process.chdir(join(long, '..'));
    cleanup.push(async () => process.chdir(before));
    await start(long, { status: async () => 'here' });
    expect(await controlRequest(long, 'status')).toBe('here');
    expect((await stat(join(long, 'control.sock'))).mode & 0o777).toBe(0o600);
  });

  it('waits for a client that is slow, over and over, and leaves nothing behind for it', async () => {
    const at = await directory();
    const warnings: string[] = [];
    const warned = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', warned);
    cleanup.push(async () => process.off('warning', warned));
    let sent = 0;
    let isOver = false;
    async function* lines(): AsyncGenerator<string> {
      try {
        for (;;) {
          sent++;
          yield `${'x'.repeat(256 * 1024)}\n`;
        }
      } finally {
        isOver = true;
      }
    }
    await start(at, { lines: async () => lines() });
    const asked = request({ socketPath: join(at, 'control.sock'), path: '/lines', method: 'POST' }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    for (let read = 0; read < 8 * 2 ** 20; ) {
      await once(answer, 'readable');
      for (let chunk = answer.read() as Buffer | null; chunk !== null; chunk = answer.read() as Buffer | null) read += chunk.length;
    }
    expect(sent).toBeGreaterThan(30);
    asked.on('error', () => undefined).destroy();
    await expect.poll(() => isOver).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('does not remove what is no socket', async () => {
    const at = await directory();
    await mkdir(join(at, 'control.sock'));
    await writeFile(join(at, 'control.sock/file'), 'keep');
    expect(await codeOf(startControlSocket({ directory: at, handlers: {} }))).toBe('SLUICE_CONTROL_LISTEN');
    expect(await readdir(join(at, 'control.sock'))).toEqual(['file']);
  });
});

/** What kill -9 leaves. */
async function deadSocket(at: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(join(at, 'control.sock'))}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}
