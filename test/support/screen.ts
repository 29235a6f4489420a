/** What a terminal shows of what was written to it: the few control sequences that progress bars use, anything else is an error. */
export class Screen {
  readonly isTTY = true;
  readonly columns: number;
  readonly rows: number;
  readonly #lines: string[] = [''];
  #row = 0;
  #column = 0;
  #rest = '';

  constructor(columns = 120, rows = 40) {
    this.columns = columns;
    this.rows = rows;
  }

  /** As it stands, without blanks at the ends of lines. */
  get lines(): readonly string[] {
    return this.#lines.map((line) => line.trimEnd());
  }

  write(text: string): boolean {
    this.#rest += text;
    while (this.#rest !== '') {
      const sequence = this.#rest.startsWith('\u001b') ? (/^.(?:\[(\d*)([A-Za-z])?)?/.exec(this.#rest) as RegExpExecArray) : null;
      if (sequence === null) this.#put();
      else if (sequence[2] === undefined) break;
      else {
        this.#control(sequence[2], sequence[1] ?? '');
        this.#rest = this.#rest.slice(sequence[0].length);
      }
    }
    return true;
  }

  #put(): void {
    const [sign] = this.#rest as unknown as [string];
    this.#rest = this.#rest.slice(1);
    if (sign === '\r') this.#column = 0;
    else if (sign === '\n') this.#newline();
    else {
      if (this.#column === this.columns) this.#newline();
      const line = this.#line().padEnd(this.#column);
      this.#lines[this.#row] = line.slice(0, this.#column) + sign + line.slice(this.#column + 1);
      this.#column++;
    }
  }

  #newline(): void {
    this.#row++;
    this.#column = 0;
    if (this.#row === this.#lines.length) this.#lines.push('');
  }

  #control(command: string, argument: string): void {
    const count = argument === '' ? 1 : Number(argument);
    if (command === 'A') this.#row = Math.max(0, this.#row - count);
    else if (command === 'G') this.#column = count - 1;
    else if (command === 'K') {
      if (argument === '2') this.#lines[this.#row] = '';
      else this.#lines[this.#row] = this.#line().slice(0, this.#column);
    } else if (command === 'J') {
      this.#lines[this.#row] = this.#line().slice(0, this.#column);
      this.#lines.length = this.#row + 1;
    } else throw new Error(`control sequence ${argument}${command}`);
  }

  #line(): string {
    return this.#lines[this.#row] ?? '';
  }
}
