import type { Command } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { type Action, PATHS } from './action.ts';

interface TablesOptions {
  readonly connector?: string;
  readonly table: string;
  readonly json?: boolean;
  readonly wait?: boolean;
}

const load = (): Promise<typeof import('./tables.ts')> => import('./tables.ts');
const named = (options: TablesOptions): { connector?: string } => (options.connector === undefined ? {} : { connector: options.connector });
const CONNECTOR = 'which one, if there are several';

/** `sluice tables …`: tables that are stopped while the others go on. */
export function addTables(program: Command, action: Action, registry: Registry): void {
  const tables = program
    .command('tables')
    .description(
      'Tables that are stopped while the others go on ("onError": "stopTable", or a shape that "compatibility" does not allow): look at them, resume them, or let go what was kept.',
    )
    .addHelpText('after', '\nExamples:\n  $ sluice tables list /etc/sluice\n  $ sluice tables resume --table public.orders /etc/sluice');
  tables
    .command('list')
    .description('List the stopped tables, why they stopped, and how much of them waits.')
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'only those of one')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice tables list --json /etc/sluice')
    .action((paths: string[], options: TablesOptions) =>
      action(options.json, async (output) => (await load()).tablesCommand(paths, { verb: 'list', ...named(options) }, output, registry)),
    );
  tables
    .command('resume')
    .description(
      'Send what was kept of a table, in order, then let it take the direct way again. Shows the progress; ending the command does not end the work.',
    )
    .argument('[paths...]', PATHS)
    .requiredOption('--table <name>', 'as `tables list` shows it: public.orders')
    .option('--connector <name>', CONNECTOR)
    .option('--no-wait', 'do not wait until the table is live')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice tables resume --table public.orders /etc/sluice')
    .action((paths: string[], options: TablesOptions) =>
      action(options.json, async (output) => {
        const request = { verb: 'resume' as const, table: options.table, wait: options.wait !== false, ...named(options) };
        return (await load()).tablesCommand(paths, request, output, registry);
      }),
    );
  tables
    .command('discard')
    .description('Let go what was kept of a table: it is never sent. The table is live again.')
    .argument('[paths...]', PATHS)
    .requiredOption('--table <name>', 'as `tables list` shows it: public.orders')
    .option('--connector <name>', CONNECTOR)
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice tables discard --table public.orders /etc/sluice')
    .action((paths: string[], options: TablesOptions) =>
      action(options.json, async (output) =>
        (await load()).tablesCommand(paths, { verb: 'discard', table: options.table, ...named(options) }, output, registry),
      ),
    );
}
