import type { Encoder, Format, FormatContext } from '../../plugin/format.ts';
import type { TableVersion } from '../../record/table.ts';
import { BatchClock } from './batch-clock.ts';
import { Definitions } from './definitions.ts';
import { frameOf } from './frame.ts';
import { Heartbeats } from './heartbeats.ts';
import { type Frames, jsonMessages, jsonTable } from './json-parts.ts';
import { MessageEncoder } from './message-encoder.ts';
import { messageKeyOf } from './message-key.ts';
import type { DebeziumOptions } from './options.ts';
import type { MessageSchemas } from './schema.ts';
import { TableEncoder } from './table-encoder.ts';
import { connectSchemas } from './table-schema.ts';
import { Transactions } from './transactions.ts';

/** Debezium's change event envelope, byte for byte as version 3.6 writes it. */
export class DebeziumFormat implements Format {
  readonly #context: FormatContext;
  readonly #options: DebeziumOptions;
  readonly #clock = new BatchClock();
  readonly transactions?: Transactions;
  readonly heartbeats?: Heartbeats;
  readonly definitions?: Definitions;

  constructor(context: FormatContext, options: DebeziumOptions) {
    this.#context = context;
    this.#options = options;
    const { schemasEnable, provideTransactionMetadata, heartbeatInterval, includeSchemaChanges } = options;
    if (provideTransactionMetadata) this.transactions = new Transactions(context, schemasEnable);
    if (heartbeatInterval !== undefined) this.heartbeats = new Heartbeats(context, schemasEnable, heartbeatInterval);
    if (includeSchemaChanges) this.definitions = new Definitions(context, options);
  }

  prepare(table: TableVersion): Encoder {
    const envelope = { context: this.#context, options: this.#options, clock: this.#clock, transactions: this.transactions ?? null };
    const { schemasEnable } = this.#options;
    if (table.kind === 'message') {
      const schemas = schemasEnable ? connectSchemas(table, this.#context, this.#options) : null;
      return new MessageEncoder(this.#context, table, jsonMessages(envelope, table, framesOf(schemas)));
    }
    const key = messageKeyOf(table, this.#options);
    const schemas = schemasEnable ? connectSchemas(table, this.#context, this.#options) : null;
    return new TableEncoder(this.#context, this.#options, table, key, jsonTable(envelope, table, key, framesOf(schemas), schemas?.absent ?? null));
  }

  begin(nowMicros: number): void {
    this.#clock.begin(nowMicros);
  }
}

function framesOf(schemas: MessageSchemas | null): Frames {
  return { key: frameOf(schemas?.key ?? null), value: frameOf(schemas?.value ?? null) };
}
