import { type CircuitBreakerPolicy, CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen, isBrokenCircuitError } from 'cockatiel';
import { SluiceError } from '../../plugin/error.ts';
import type { FormatPorts } from '../../plugin/format.ts';
import { sleep } from '../../plugin/runtime.ts';
import { REGISTRY_ACCESS, REGISTRY_ANSWER, REGISTRY_INCOMPATIBLE, REGISTRY_MISSING, REGISTRY_TLS, REGISTRY_UNREACHABLE } from './errors.ts';
import { type HttpAnswer, NoAnswer, post } from './http.ts';
import type { RegistryConfig } from './options.ts';

/** A schema that is to have an id. */
export interface Registration {
  readonly subject: string;
  /** The registry's word for its kind; AVRO is what it takes it for without one. */
  readonly type: 'AVRO' | 'JSON';
  readonly text: string;
  /** Whose it is, for errors. */
  readonly table: string;
}

/** The circuit opens after so many calls in a row without an answer, and lets one through again after the pause: short, so that a registry that is back is noticed (I10). */
const FAILURES = 3;
const OPEN_MS = 2000;
/** Between two tries of one call. */
const PAUSE_MS = 500;
const WORDS = { [CircuitState.Closed]: 'closed', [CircuitState.Open]: 'open', [CircuitState.HalfOpen]: 'half-open' } as const;
const OK = 200;
const CONFLICT = 409;
const MEDIA = 'application/vnd.schemaregistry.v1+json';
/** Of the registry's own words in an error. */
const MOST_WORDS = 500;

/** The Confluent-compatible API. While no registry answers, calls wait behind a circuit breaker. */
export class RegistryClient {
  readonly #config: RegistryConfig;
  readonly #ports: FormatPorts;
  readonly #breaker: CircuitBreakerPolicy;
  readonly #headers: Readonly<Record<string, string>>;
  /** Of the URLs: the one that answered last. */
  #current = 0;
  #isDown = false;

  constructor(config: RegistryConfig, ports: FormatPorts) {
    this.#config = config;
    this.#ports = ports;
    const isDown = handleWhen((error) => error instanceof NoAnswer);
    this.#breaker = circuitBreaker(isDown, { halfOpenAfter: OPEN_MS, breaker: new ConsecutiveBreaker(FAILURES) });
    this.#breaker.onStateChange((state) => {
      if (state !== CircuitState.Isolated) ports.circuit(WORDS[state]);
    });
    ports.circuit('closed');
    this.#headers = { Accept: `${MEDIA}, application/json`, 'Content-Type': MEDIA, ...authorization(config) };
  }

  /** Waits for as long as no registry answers. Rejects with a typed error; with SLUICE_REGISTRY_UNREACHABLE once `signal` is aborted. */
  async id(registration: Registration, signal: AbortSignal): Promise<number> {
    const { subject, type, text } = registration;
    const { autoRegister, normalize } = this.#config;
    const body = JSON.stringify({ schema: text, ...(type === 'AVRO' ? {} : { schemaType: type }) });
    const ask = (path: string): Promise<HttpAnswer> =>
      this.#persist(`subjects/${encodeURIComponent(subject)}${path}${normalize ? '?normalize=true' : ''}`, body, signal);
    let answer = await ask(autoRegister ? '/versions' : '');
    if (answer.status === CONFLICT) {
      // Apicurio says the same where another client registers at the same moment: then it stands there now.
      const known = await ask('');
      if (known.status === OK) answer = known;
    }
    if (answer.status !== OK) throw this.#refusal(registration, answer);
    const { id } = parsed(answer.text) as { readonly id?: unknown };
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 1 || id > 0x7fff_ffff) throw this.#strange(registration, answer);
    return id;
  }

  async #persist(path: string, body: string, signal: AbortSignal): Promise<HttpAnswer> {
    for (;;) {
      try {
        const answer = await this.#breaker.execute(() => this.#once(path, body, signal));
        this.#ports.asked('answered');
        this.#isBack();
        return answer;
      } catch (error) {
        const isShort = isBrokenCircuitError(error);
        if (!isShort && !(error instanceof NoAnswer)) throw error;
        if (error instanceof NoAnswer && error.isTls) throw new SluiceError(REGISTRY_TLS, { reason: error.message });
        this.#ports.asked(isShort ? 'withheld' : 'failed');
        if (!isShort && !signal.aborted) this.#say(error.message);
        await sleep(this.#ports.runtime, PAUSE_MS, signal).catch(() => {
          throw this.#unreachable('it is not waited for any longer');
        });
        this.#ports.retried('registry');
      }
    }
  }

  /** Each URL in turn, the one that answered last first. */
  async #once(path: string, body: string, signal: AbortSignal): Promise<HttpAnswer> {
    const { urls, timeout } = this.#config;
    const tls = await this.#tls();
    let last = new NoAnswer('there is no URL');
    for (let turn = 0; turn < urls.length; turn++) {
      const index = (this.#current + turn) % urls.length;
      const url = new URL(path, slashed(urls[index] as string));
      try {
        const answer = await post({ url, body, headers: this.#headers, timeoutMs: timeout, tls, signal }, this.#ports.runtime);
        if (!isPassing(answer.status)) {
          this.#current = index;
          return answer;
        }
        last = new NoAnswer(`HTTP ${answer.status}`);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        last = error;
      }
    }
    throw last;
  }

  async #tls(): Promise<{ ca?: Buffer; servername?: string }> {
    const { ca, serverName } = this.#config.tls ?? {};
    const file = ca === undefined ? null : await this.#ports.runtime.files.read(ca);
    if (ca !== undefined && file === null) throw new SluiceError(REGISTRY_TLS, { reason: `the file "${ca}" of "tls.ca" does not exist` });
    return { ...(file === null ? {} : { ca: file }), ...(serverName === undefined ? {} : { servername: serverName }) };
  }

  #say(reason: string): void {
    if (this.#isDown) return;
    this.#isDown = true;
    const { code, message, remedy } = this.#unreachable(reason);
    this.#ports.log.warn(`${message} Trying again until it does.`, { code, remedy });
  }

  #isBack(): void {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.#ports.log.info('The schema registry answers again.');
  }

  #unreachable(reason: string): SluiceError {
    return new SluiceError(REGISTRY_UNREACHABLE, { urls: this.#config.urls.join(', '), reason });
  }

  #refusal(registration: Registration, answer: HttpAnswer): SluiceError {
    const { subject, table } = registration;
    const { status } = answer;
    const about = { table };
    if (status === 401 || status === 403) return new SluiceError(REGISTRY_ACCESS, { url: this.#url, subject, status });
    if (status === 404 && !this.#config.autoRegister) return new SluiceError(REGISTRY_MISSING, { table, subject }, about);
    if (status === CONFLICT || status === 422)
      return new SluiceError(REGISTRY_INCOMPATIBLE, { table, subject, status, reason: words(answer) }, about);
    return this.#strange(registration, answer);
  }

  #strange({ subject, table }: Registration, answer: HttpAnswer): SluiceError {
    return new SluiceError(REGISTRY_ANSWER, { url: this.#url, subject, status: answer.status, reason: words(answer) }, { table });
  }

  get #url(): string {
    return this.#config.urls[this.#current] as string;
  }
}

function authorization({ user, password, token }: RegistryConfig): Record<string, string> {
  if (token !== undefined) return { Authorization: `Bearer ${token}` };
  return user === undefined ? {} : { Authorization: `Basic ${Buffer.from(`${user}:${password ?? ''}`, 'utf8').toString('base64')}` };
}

/** The registry itself is in trouble, or asks for a pause. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}

/** The root of the API, whatever its path. */
function slashed(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** What the registry says of it. It knows schemas and no rows (I12). */
function words({ text }: HttpAnswer): string {
  const { message } = parsed(text) as { readonly message?: unknown };
  const said = typeof message === 'string' && message !== '' ? message : 'it gives no reason';
  return said.length > MOST_WORDS ? `${said.slice(0, MOST_WORDS)}…` : said;
}
