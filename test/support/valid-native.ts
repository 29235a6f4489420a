/** Native messages held against the JSON Schemas of their tables, by a validator that is not ours. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { native } from '../../src/formats/native/index.ts';
import { nativeEnvelopeSchema } from '../../src/formats/native/json-schema.ts';
import type { Origin } from '../../src/plugin/source.ts';
import type { TableShape } from '../../src/record/table.ts';
import type { EncodedMessage } from './encoded.ts';

interface Validators {
  readonly key: ValidateFunction | null;
  readonly value: ValidateFunction;
}

/** Compiles each schema once. */
export class NativeValidator {
  readonly #ajv = new Ajv2020({ strictSchema: true, strictTypes: false, allErrors: true });
  readonly #any = this.#ajv.compile(nativeEnvelopeSchema());
  readonly #origin: Pick<Origin, 'columns'>;
  readonly #compiled = new Map<TableShape, Validators>();

  constructor(origin: Pick<Origin, 'columns'>) {
    this.#origin = origin;
  }

  /** What is wrong with a message of the table; empty: it is valid. */
  problems(table: TableShape, { key, value }: Pick<EncodedMessage, 'key' | 'value'>): string[] {
    const validators = this.#of(table);
    if ((key === null) !== (validators.key === null) && value !== null && !value.startsWith('{"op":"truncate"'))
      return [`a key ${key} where the schema says otherwise`];
    return [
      ...(key === null || validators.key === null ? [] : complaints(validators.key, key)),
      ...(value === null ? [] : [...complaints(validators.value, value), ...complaints(this.#any, value)]),
    ];
  }

  #of(table: TableShape): Validators {
    const known = this.#compiled.get(table);
    if (known !== undefined) return known;
    const { key, value } = native.jsonSchemas(table, this.#origin);
    const made = { key: key === null ? null : this.#ajv.compile(key), value: this.#ajv.compile(value) };
    this.#compiled.set(table, made);
    return made;
  }
}

function complaints(validate: ValidateFunction, json: string): string[] {
  if (validate(JSON.parse(json))) return [];
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}: ${json}`);
}
