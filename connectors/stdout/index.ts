import {
  type ConfigOf,
  fields,
  type MessageBatch,
  type Place,
  rootMessage,
  type Sink,
  type SinkPlugin,
  SluiceError,
  type TableVersion,
} from '#plugin';
import { stdoutClosed } from './errors.ts';
import { linesOf } from './line.ts';

const stdoutFields = fields({
  topic: {
    kind: 'string',
    default: '{connector}.{schema}.{table}',
    about: 'Template of the topic in each line.',
    example: '{table}',
  },
});

/** One JSON line per message on standard output: the smallest sink that keeps its promises, and the one to copy from. */
export const stdout: SinkPlugin<typeof stdoutFields> = {
  role: 'sink',
  type: 'stdout',
  fields: stdoutFields,
  errors: [stdoutClosed],
  claims: () => ['stdout'],
  create: (config, { connector }) => new StdoutSink(config, connector),
};

class StdoutSink implements Sink {
  readonly #config: ConfigOf<typeof stdoutFields>;
  readonly #connector: string;
  readonly #pending = new Set<(error: SluiceError) => void>();
  #failure: SluiceError | null = null;
  readonly #broken = (error: unknown): void => this.#fail(error);

  constructor(config: ConfigOf<typeof stdoutFields>, connector: string) {
    this.#config = config;
    this.#connector = connector;
    // A reader that has gone away (EPIPE) comes as an 'error' event too.
    process.stdout.on('error', this.#broken);
  }

  preflight(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  open(): ReturnType<Sink['open']> {
    return Promise.resolve({ transactions: [], holdsOutput: false });
  }

  destination(table: TableVersion): string {
    if (table.kind === 'message') return `${this.#connector}.message`;
    return this.#config.topic
      .replaceAll('{connector}', this.#connector)
      .replaceAll('{schema}', table.schema)
      .replaceAll('{table}', table.name)
      .replace(/^\.|\.(?=\.)/g, '');
  }

  /** Resolves when the operating system has taken all of it: what its reader does with it is beyond our sight. */
  write(batch: MessageBatch): Promise<Place> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      this.#pending.add(reject);
      // One write for a batch: either all of it is taken, or the stream has failed.
      process.stdout.write(Buffer.concat(linesOf(batch)), (error) => {
        this.#pending.delete(reject);
        if (error) this.#fail(error);
        if (this.#failure !== null) reject(this.#failure);
        else resolve({});
      });
    });
  }

  recover(): ReturnType<Sink['recover']> {
    return Promise.resolve({ place: {}, lastTransaction: null });
  }

  close(): Promise<void> {
    this.#fail(new Error('it was closed'));
    process.stdout.off('error', this.#broken);
    return Promise.resolve();
  }

  #fail(error: unknown): void {
    this.#failure ??= new SluiceError(stdoutClosed, { reason: rootMessage(error) }, { cause: error });
    for (const reject of this.#pending) reject(this.#failure);
    this.#pending.clear();
  }
}
