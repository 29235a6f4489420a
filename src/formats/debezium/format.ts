import type { Encoder, Format, FormatContext } from '../../plugin/format.ts';
import type { TableVersion } from '../../record/table.ts';
import { BatchClock } from './batch-clock.ts';
import { Heartbeats } from './heartbeats.ts';
import { MessageEncoder } from './message-encoder.ts';
import { type DebeziumOptions, TableEncoder } from './table-encoder.ts';
import { Transactions } from './transactions.ts';

/** Debezium's change event envelope, byte for byte as version 3.6 writes it. */
export class DebeziumFormat implements Format {
  readonly #context: FormatContext;
  readonly #options: DebeziumOptions;
  readonly #clock = new BatchClock();
  readonly transactions?: Transactions;
  readonly heartbeats?: Heartbeats;

  constructor(context: FormatContext, options: DebeziumOptions) {
    this.#context = context;
    this.#options = options;
    const { schemasEnable, provideTransactionMetadata, heartbeatInterval } = options;
    if (provideTransactionMetadata) this.transactions = new Transactions(context, schemasEnable);
    if (heartbeatInterval !== undefined) this.heartbeats = new Heartbeats(context, schemasEnable, heartbeatInterval);
  }

  prepare(table: TableVersion): Encoder {
    const transactions = this.transactions ?? null;
    return table.kind === 'message'
      ? new MessageEncoder(this.#context, this.#options, this.#clock, table, transactions)
      : new TableEncoder(this.#context, this.#options, this.#clock, table, transactions);
  }

  begin(nowMicros: number): void {
    this.#clock.begin(nowMicros);
  }
}
