/** A connector file that is being written: what is known of it, what it still lacks, and what is wrong with it. */
import { join, resolve } from 'node:path';
import { type ConfigurationFiles, diskFiles } from '../config/files.ts';
import { type ConnectorDefinition, loadConfiguration } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';

import { SluiceError } from '../plugin/error.ts';
import { type Field, type FieldTable, isRequired } from '../plugin/field.ts';
import type { Registry } from '../plugin/registry.ts';
import { INIT_OPTION } from './init-errors.ts';

export type Part = 'source' | 'sink';

/** An option that somebody must be asked for. */
export interface Question {
  readonly part: Part;
  readonly option: string;
  readonly field: Field;
}

export class Draft {
  readonly #directory: string;
  readonly #registry: Registry;
  readonly #sections: Record<Part, Record<string, unknown>> = { source: {}, sink: {} };
  name = '';

  constructor(directory: string, registry: Registry) {
    this.#directory = directory;
    this.#registry = registry;
  }

  get path(): string {
    return join(this.#directory, 'connectors', `${this.name}.json`);
  }

  get text(): string {
    return `${JSON.stringify({ name: this.name, source: this.#sections.source, sink: this.#sections.sink }, null, 2)}\n`;
  }

  has(part: Part, option: string): boolean {
    return Object.hasOwn(this.#sections[part], option);
  }

  set(part: Part, option: string, value: unknown): void {
    this.#sections[part] = { ...this.#sections[part], [option]: value };
  }

  drop(part: Part, option: string): void {
    this.#sections[part] = Object.fromEntries(Object.entries(this.#sections[part]).filter(([name]) => name !== option));
  }

  type(part: Part): string {
    return String(this.#sections[part]['type'] ?? '');
  }

  types(part: Part): readonly string[] {
    return Object.keys(part === 'source' ? this.#registry.sources : this.#registry.sinks);
  }

  /** `source.tls.mode=disable`. Throws SLUICE_INIT_OPTION. */
  async assign(text: string): Promise<void> {
    const parts = /^(source|sink)\.([^=]+)=(.*)$/s.exec(text);
    if (parts === null) throw new SluiceError(INIT_OPTION, { text: text.replace(/=.*/s, '=…') });
    const [part, path, value] = [parts[1] as Part, (parts[2] as string).split('.'), parts[3] as string];
    let section: Record<string, unknown> = this.#sections[part];
    let table: FieldTable = await this.#fields(part);
    for (const name of path.slice(0, -1)) {
      const inner = Object.hasOwn(section, name) ? (section[name] as Record<string, unknown>) : {};
      define(section, name, inner);
      section = inner;
      const field = fieldOf(table, name);
      table = field?.kind === 'object' ? field.fields : {};
    }
    const last = path.at(-1) as string;
    define(section, last, asFieldHas(fieldOf(table, last), value));
  }

  /** What a file must have, or mostly has, and this one has not; tables are another matter. */
  async lacking(part: Part): Promise<readonly Question[]> {
    return Object.entries(await this.#fields(part))
      .filter(([option, field]) => option !== 'tables' && (isRequired(field) || field.asked === true) && !this.has(part, option))
      .map(([option, field]) => ({ part, option, field }));
  }

  async #fields(part: Part): Promise<FieldTable> {
    const all = part === 'source' ? this.#registry.sources : this.#registry.sinks;
    const type = this.type(part);
    const load = Object.hasOwn(all, type) ? all[type] : undefined;
    return (await load?.())?.fields ?? {};
  }

  /** As it would be loaded, with its secrets from `env`; what is still missing is filled in. Problems with what does not stand in it yet are left out. */
  async load(
    env: Readonly<Record<string, string | undefined>>,
    standIn: { readonly tables?: readonly string[]; readonly sink?: object } = {},
  ): Promise<{ readonly definition: ConnectorDefinition | null; readonly problems: readonly Problem[]; readonly secrets: ReadonlySet<string> }> {
    const { source } = this.#sections;
    const document = {
      name: this.name,
      source: standIn.tables === undefined ? source : { ...source, tables: standIn.tables },
      sink: standIn.sink ?? this.#sections.sink,
    };
    const files = withFile(resolve(this.path), JSON.stringify(document, null, 2));
    const result = await loadConfiguration({ paths: [this.path], env, registry: this.#registry, secrets: 'resolve', files });
    if (!result.ok) return { definition: null, problems: result.problems, secrets: result.usable?.secrets ?? new Set() };
    return { definition: result.configuration.connectors[0] ?? null, problems: [], secrets: result.configuration.secrets };
  }
}

/** A value as the field has it. What does not fit is told when the file is checked. */
export function asFieldHas(field: Field | undefined, text: string): unknown {
  switch (field?.kind) {
    case 'list':
      return text.split(',').map((each) => each.trim());
    case 'integer':
      return /^-?\d+$/.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' || (text === 'false' ? false : text);
    default:
      return text;
  }
}

function fieldOf(table: FieldTable, name: string): Field | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** Whatever it is called. */
function define(section: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(section, name, { value, enumerable: true, configurable: true, writable: true });
}

/** The disk with one more file. */
function withFile(path: string, text: string): ConfigurationFiles {
  return {
    look: (asked) =>
      asked === path ? Promise.resolve({ kind: 'file' as const, mode: 0o600, owner: process.getuid?.() ?? 0 }) : diskFiles.look(asked),
    read: (asked) => (asked === path ? Promise.resolve(Buffer.from(text)) : diskFiles.read(asked)),
    list: (asked) => diskFiles.list(asked),
  };
}
