import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

/** Asks on the terminal, or reads the answers line by line from what is piped in. */
export class Questions {
  readonly #lines: string[] = [];
  readonly #reader: Interface;
  readonly #write: (text: string) => void;
  /** By Ctrl-C. */
  isInterrupted = false;
  #isHidden = false;
  #isOver = false;
  #wake: (() => void) | null = null;

  constructor(input: NodeJS.ReadStream, write: (text: string) => void) {
    this.#write = write;
    const echo = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (!this.#isHidden) write(chunk.toString());
        done();
      },
    });
    this.#reader = createInterface({ input, output: echo, terminal: input.isTTY === true });
    this.#reader.on('line', (line) => {
      this.#lines.push(line);
      this.#wake?.();
    });
    this.#reader.on('SIGINT', () => {
      this.isInterrupted = true;
      this.#reader.close();
    });
    // Also on Ctrl-D.
    this.#reader.on('close', () => {
      this.#isOver = true;
      this.#wake?.();
    });
  }

  say(text: string): void {
    this.#write(text);
  }

  /** The answer without white space around it, `fallback` for an empty one; null: there are no more answers. `isHidden`: what is typed is not shown. */
  async ask(question: string, { fallback = '', isHidden = false } = {}): Promise<string | null> {
    this.#write(`${question}${fallback === '' ? '' : ` [${fallback}]`}: `);
    this.#isHidden = isHidden;
    while (this.#lines.length === 0 && !this.#isOver) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    this.#isHidden = false;
    const line = this.#lines.shift();
    if (isHidden || line === undefined) this.#write('\n');
    if (line === undefined) return null;
    return line.trim() === '' ? fallback : line.trim();
  }

  close(): void {
    this.#reader.close();
  }
}
