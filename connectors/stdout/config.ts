import { type ConfigOf, fields, type TableIdentity } from '#plugin';

/** Options of the stdout sink, as they stand under `sink` in a connector file. */
export const stdoutFields = fields({
  topic: {
    kind: 'string',
    default: '{connector}.{schema}.{table}',
    about: 'What stands under `topic`. Known are `{connector}`, `{schema}` (the database where there are no schemas) and `{table}`.',
  },
});

export type StdoutConfig = ConfigOf<typeof stdoutFields>;

const PLACEHOLDER = /\{(\w*)\}/g;

/** Checks that the field table cannot say. */
export function validateStdout(config: StdoutConfig): readonly { path: string; message: string; remedy: string }[] {
  const unknown = [...config.topic.matchAll(PLACEHOLDER)].find(([, name]) => !['connector', 'schema', 'table'].includes(name as string));
  if (unknown === undefined) return [];
  return [{ path: 'topic', message: `"${unknown[0]}" is not known.`, remedy: 'Known are {connector}, {schema} and {table}.' }];
}

/** Logical messages have a topic of their own, as Debezium's have. */
export function topicOf(template: string, connector: string, table: TableIdentity): string {
  if (table.kind === 'message') return `${connector}.message`;
  const names: Readonly<Record<string, string>> = { connector, schema: table.schema === '' ? table.catalog : table.schema, table: table.name };
  return template.replace(PLACEHOLDER, (whole, name: string) => names[name] ?? whole);
}
