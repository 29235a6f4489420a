import { type Command, InvalidArgumentError } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { type Action, PATHS } from './action.ts';
import type { SchemaAction } from './schema.ts';

interface SchemaOptions {
  readonly connector?: string;
  readonly table: string;
  readonly json?: boolean;
  readonly at?: number;
  readonly all?: boolean;
  readonly jsonSchema?: boolean;
  readonly from?: number;
  readonly to?: number;
}

const CONNECTOR = 'which one, if there are several';
const TABLE = 'as `schema list` shows it: public.orders';

function versionNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('A version is a number from 1 on, as `schema list` shows it.');
  return Number(text);
}

/** `sluice schema …`: the shapes that the captured tables have had. */
export function addSchema(program: Command, action: Action, registry: Registry): void {
  const schema = program
    .command('schema')
    .description(
      'The schema history: the versions that each captured table has had. The number stands in the header "sluice.schema" of each message.',
    )
    .addHelpText('after', '\nExamples:\n  $ sluice schema list /etc/sluice\n  $ sluice schema diff --table public.orders /etc/sluice');
  const run: Run = (options, paths, request) =>
    action(options.json, async (output) => {
      const named = options.connector === undefined ? {} : { connector: options.connector };
      return (await import('./schema.ts')).schemaCommand(paths, { ...request, ...named }, output, registry);
    });
  schema
    .command('list')
    .description('List the tables with their newest version, and where the log showed it first.')
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'only those of one')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice schema list --json /etc/sluice')
    .action((paths: string[], options: SchemaOptions) => run(options, paths, { verb: 'list' }));
  schema
    .command('show')
    .description('Show the columns of a version of a table.')
    .argument('[paths...]', PATHS)
    .requiredOption('--table <name>', TABLE)
    .option('--at <version>', 'which one (default: the newest)', versionNumber)
    .option('--all', 'all versions that are kept, oldest first')
    .option('--json-schema', 'the JSON Schemas of its messages instead, key and value, as one JSON document (format native)')
    .option('--connector <name>', CONNECTOR)
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice schema show --table public.orders --at 3 /etc/sluice')
    .action((paths: string[], { table, at, all, jsonSchema, ...options }: SchemaOptions) =>
      run({ table, ...options }, paths, {
        verb: 'show',
        table,
        all: all === true,
        jsonSchema: jsonSchema === true,
        ...(at === undefined ? {} : { version: at }),
      }),
    );
  schema
    .command('diff')
    .description('Show what changed between two versions of a table, classified.')
    .argument('[paths...]', PATHS)
    .requiredOption('--table <name>', TABLE)
    .option('--from <version>', 'version before (default: the one before the other)', versionNumber)
    .option('--to <version>', 'version after (default: the newest)', versionNumber)
    .option('--connector <name>', CONNECTOR)
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice schema diff --table public.orders --from 1 --to 3 /etc/sluice')
    .action((paths: string[], { table, from, to, ...options }: SchemaOptions) =>
      run({ table, ...options }, paths, { verb: 'diff', table, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }),
    );
  addAccept(schema, run);
}

type Run = (options: SchemaOptions, paths: readonly string[], request: SchemaAction) => Promise<void>;

function addAccept(schema: Command, run: Run): void {
  schema
    .command('accept')
    .description(
      'Let rows go that the connector\'s "compatibility" does not allow: all versions of the table that are known. Where it was stopped it is resumed.',
    )
    .argument('[paths...]', PATHS)
    .requiredOption('--table <name>', TABLE)
    .option('--connector <name>', CONNECTOR)
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice schema accept --table public.orders /etc/sluice')
    .action((paths: string[], { table, ...options }: SchemaOptions) => run({ table, ...options }, paths, { verb: 'accept', table }));
}
