import type { Encoder, Format, FormatContext, FormatPorts, Refused, VersionOf } from '../../plugin/format.ts';
import type { MessageBatch } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { BatchClock } from '../debezium/batch-clock.ts';
import { jsonMessages, jsonTable } from '../debezium/json-parts.ts';
import { MessageEncoder } from '../debezium/message-encoder.ts';
import { messageKeyOf } from '../debezium/message-key.ts';
import type { DebeziumOptions } from '../debezium/options.ts';
import { TableEncoder } from '../debezium/table-encoder.ts';
import { connectSchemas } from '../debezium/table-schema.ts';
import type { RegistryConfig } from '../registry/options.ts';
import { type NamedSchema, SchemaIds, type WireSchemas } from '../registry/schema-ids.ts';
import { schemaJson } from '../registry/schema-text.ts';
import { type JsonSchema, jsonSchemas } from './schema.ts';

/** Debezium's change event envelope as JSON behind the id of its schema, as its connectors write it with Confluent's JSON Schema converter. */
export class JsonSchemaFormat implements Format {
  readonly #context: FormatContext;
  readonly #options: DebeziumOptions;
  readonly #clock = new BatchClock();
  readonly #ids: SchemaIds;

  constructor(context: FormatContext, options: DebeziumOptions, registry: RegistryConfig, ports: FormatPorts) {
    this.#context = context;
    this.#options = options;
    this.#ids = new SchemaIds(registry, ports, 'JSON', (table): WireSchemas => {
      const { key, value } = jsonSchemas(table, context, options);
      return { key: key === null ? null : named(key), value: named(value) };
    });
  }

  ready(table: TableVersion, destination: string, signal: AbortSignal): Promise<void> | null {
    return this.#ids.ready(table, destination, signal);
  }

  refused(messages: MessageBatch, versionOf: VersionOf): Refused | null {
    return this.#ids.refused(messages, versionOf);
  }

  complete(messages: MessageBatch, versionOf: VersionOf, signal: AbortSignal): Promise<void> | null {
    return this.#ids.complete(messages, versionOf, signal);
  }

  prepare(table: TableVersion): Encoder {
    const [context, options] = [this.#context, this.#options];
    const envelope = { context, options, clock: this.#clock, transactions: null };
    const frames = this.#ids.framesOf(table);
    if (table.kind === 'message') return new MessageEncoder(context, table, jsonMessages(envelope, table, frames));
    const key = messageKeyOf(table, options);
    const { absent } = connectSchemas(table, context, options);
    return new TableEncoder(context, options, table, key, jsonTable(envelope, table, key, frames, absent, true));
  }

  begin(nowMicros: number): void {
    this.#clock.begin(nowMicros);
  }
}

function named(schema: JsonSchema): NamedSchema {
  return { name: schema.title as string, text: schemaJson(schema) };
}
