/** Schema registries for the tests: Apicurio, which has Confluent's API. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, ServerProcess, temporaryDirectory, waitUntilReady } from './process.ts';
import { type JavaBinary, resolveRegistry } from './resolve.ts';

/** The root of Confluent's API there. */
const API = '/apis/ccompat/v7';
const ADMIN = '/apis/registry/v2/admin';

/** One process that keeps all in memory: what it knew is gone when it ends. */
export class RegistryServer {
  readonly port: number;
  readonly #binary: JavaBinary;
  readonly #directory: string;
  #process: ServerProcess | null = null;

  constructor(binary: JavaBinary, directory: string, port: number) {
    this.#binary = binary;
    this.#directory = directory;
    this.port = port;
  }

  /** Root of the API, as clients are given it. */
  get url(): string {
    return `http://127.0.0.1:${this.port}${API}`;
  }

  async start(): Promise<void> {
    const { java, path } = this.#binary;
    const options = ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];
    const listen = [
      `-Dquarkus.http.port=${this.port}`,
      '-Dquarkus.http.host=127.0.0.1',
      `-Duser.home=${this.#directory}`,
      `-Djava.io.tmpdir=${this.#directory}`,
    ];
    const server = new ServerProcess(java, [...options, ...listen, '-jar', path], { logFile: join(this.#directory, 'registry.log') });
    this.#process = server;
    await waitUntilReady(server, 'apicurio', async () => {
      const answer = await fetch(`${this.url}/subjects`);
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    });
  }

  /** SIGSTOP freezes it, SIGCONT wakes it. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async kill(): Promise<void> {
    const server = this.#process;
    this.#process = null;
    await server?.killAndWait();
  }

  /** All that it knows, with its ids, for `put`. */
  async take(): Promise<ArrayBuffer> {
    const answer = await fetch(`http://127.0.0.1:${this.port}${ADMIN}/export`, { headers: { Accept: 'application/zip' } });
    if (!answer.ok) throw new Error(`export: HTTP ${answer.status} ${await answer.text()}`);
    return answer.arrayBuffer();
  }

  /** Into a registry that knows nothing. */
  async put(contents: ArrayBuffer): Promise<void> {
    const headers = { 'Content-Type': 'application/zip', 'X-Registry-Preserve-GlobalId': 'true', 'X-Registry-Preserve-ContentId': 'true' };
    const answer = await fetch(`http://127.0.0.1:${this.port}${ADMIN}/import`, { method: 'POST', headers, body: contents });
    if (!answer.ok) throw new Error(`import: HTTP ${answer.status} ${await answer.text()}`);
  }

  /** Stops it and removes its files. */
  async dispose(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Calls the API; `path` without the slash in front. Throws for what is no success. */
  async ask(path: string, method = 'GET', body?: unknown): Promise<unknown> {
    const headers = { 'Content-Type': 'application/vnd.schemaregistry.v1+json' };
    const answer = await fetch(`${this.url}/${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: HTTP ${answer.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }
}

/** Starts a registry on a random port, with nothing in it. */
export async function startRegistry(): Promise<RegistryServer> {
  const binary = await resolveRegistry();
  const server = new RegistryServer(binary, await temporaryDirectory('registry'), await freePort());
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.dispose();
    throw error;
  }
}
