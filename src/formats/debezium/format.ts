import type { Encoder, Format, FormatContext } from '../../plugin/format.ts';
import type { TableVersion } from '../../record/table.ts';
import { BatchClock } from './batch-clock.ts';
import { MessageEncoder } from './message-encoder.ts';
import { type DebeziumOptions, TableEncoder } from './table-encoder.ts';

/** Debezium's change event envelope, byte for byte as version 3.6 writes it. */
export class DebeziumFormat implements Format {
  readonly #context: FormatContext;
  readonly #options: DebeziumOptions;
  readonly #clock = new BatchClock();

  constructor(context: FormatContext, options: DebeziumOptions) {
    this.#context = context;
    this.#options = options;
  }

  prepare(table: TableVersion): Encoder {
    return table.kind === 'message'
      ? new MessageEncoder(this.#context, this.#options, this.#clock, table)
      : new TableEncoder(this.#context, this.#options, this.#clock, table);
  }

  begin(nowMicros: number): void {
    this.#clock.begin(nowMicros);
  }
}
