import type { Encoder, Format, FormatContext, FormatPorts, Refused, VersionOf } from '../../plugin/format.ts';
import type { MessageBatch } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { MessageEncoder } from '../debezium/message-encoder.ts';
import { messageKeyOf } from '../debezium/message-key.ts';
import type { DebeziumOptions } from '../debezium/options.ts';
import { TableEncoder } from '../debezium/table-encoder.ts';
import { connectSchemas } from '../debezium/table-schema.ts';
import type { RegistryConfig } from '../registry/options.ts';
import { type NamedSchema, SchemaIds, type WireSchemas } from '../registry/schema-ids.ts';
import { schemaJson } from '../registry/schema-text.ts';
import { AvroClock } from './clock.ts';
import type { NameModes } from './names.ts';
import { avroMessages, avroTable } from './parts.ts';
import { type AvroSchema, avroSchemas } from './schema.ts';

/** Debezium's change event envelope in Avro, as its connectors write it with Confluent's converter. */
export class AvroFormat implements Format {
  readonly #context: FormatContext;
  readonly #options: DebeziumOptions;
  readonly #clock = new AvroClock();
  readonly #ids: SchemaIds;

  constructor(context: FormatContext, options: DebeziumOptions, names: NameModes, registry: RegistryConfig, ports: FormatPorts) {
    this.#context = context;
    this.#options = options;
    this.#ids = new SchemaIds(registry, ports, 'AVRO', (table): WireSchemas => {
      const { key, value } = avroSchemas(table, context, { ...options, ...names });
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
    const envelope = { context, options, clock: this.#clock };
    const frames = this.#ids.framesOf(table);
    const schemas = connectSchemas(table, context, options);
    if (table.kind === 'message') return new MessageEncoder(context, table, avroMessages(envelope, table, schemas, frames));
    const key = messageKeyOf(table, options);
    return new TableEncoder(context, options, table, key, avroTable(envelope, table, key, schemas, frames));
  }

  begin(nowMicros: number): void {
    this.#clock.begin(nowMicros);
  }
}

function named(schema: AvroSchema): NamedSchema {
  const { namespace, name } = schema as { readonly namespace: string; readonly name: string };
  return { name: namespace === '' ? name : `${namespace}.${name}`, text: schemaJson(schema) };
}
