import type { Command } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { type Action, PATHS } from './action.ts';
import type { SnapshotAction } from './snapshot.ts';

interface SnapshotOptions {
  readonly connector?: string;
  readonly table?: readonly string[];
  readonly where?: string;
  readonly surrogateKey?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
}

const load = (): Promise<typeof import('./snapshot.ts')> => import('./snapshot.ts');
const CONNECTOR = 'which one, if there are several';
const ONE_AFTER_THE_OTHER = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** `sluice snapshot …`: copies of the rows that are there. */
export function addSnapshot(program: Command, action: Action, registry: Registry): void {
  const snapshot = program
    .command('snapshot')
    .description('Copies of the rows that are there: look how far they are, begin one beside the running stream, put it off or end it.')
    .addHelpText('after', '\nExamples:\n  $ sluice snapshot status /etc/sluice\n  $ sluice snapshot start --table public.orders /etc/sluice');
  const run = (options: SnapshotOptions, paths: string[], request: Omit<SnapshotAction, 'connector'>): Promise<void> =>
    action(options.json, async (output) => {
      const named = options.connector === undefined ? {} : { connector: options.connector };
      return (await load()).snapshotCommand(paths, { ...request, ...named }, output, registry);
    });
  snapshot
    .command('status')
    .description('List the captured tables and how far the copy of each is.')
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'only those of one')
    .option('--watch', 'answer when nothing is being copied any more; until then bars show it, on a terminal')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice snapshot status --json /etc/sluice')
    .action((paths: string[], options: SnapshotOptions) => run(options, paths, { verb: 'status', tables: [], watch: options.watch === true }));
  snapshot
    .command('start')
    .description('Copy tables once more, beside the stream: their rows come with "op": "r". The command does not wait for the end.')
    .argument('[paths...]', PATHS)
    .requiredOption('--table <name>', 'as `snapshot status` shows it: public.orders; may be given several times', ONE_AFTER_THE_OTHER)
    .option('--where <condition>', 'only the rows that it takes, in the SQL of the server; functions and types outside pg_catalog with their schema')
    .option('--surrogate-key <column>', 'read in chunks by this column, never null and best with an index, in place of the key')
    .option('--connector <name>', CONNECTOR)
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', `\nExample:\n  $ sluice snapshot start --table public.orders --where "status = 'open'" /etc/sluice`)
    .action((paths: string[], options: SnapshotOptions) =>
      run(options, paths, {
        verb: 'start',
        tables: options.table ?? [],
        ...(options.where === undefined ? {} : { where: options.where }),
        ...(options.surrogateKey === undefined ? {} : { surrogateKey: options.surrogateKey }),
      }),
    );
  const others = [
    ['pause', 'Put copies off: what was copied stays, the rest waits for `snapshot resume`, over restarts too.'],
    ['resume', 'Go on with copies that were put off.'],
    ['stop', 'End copies: what was copied stays, the rest is not copied.'],
  ] as const;
  for (const [verb, description] of others) {
    snapshot
      .command(verb)
      .description(description)
      .argument('[paths...]', PATHS)
      .option('--table <name>', 'only of this one; may be given several times (default: of all)', ONE_AFTER_THE_OTHER)
      .option('--connector <name>', CONNECTOR)
      .option('--json', 'answer with one JSON document')
      .addHelpText('after', `\nExample:\n  $ sluice snapshot ${verb} --table public.orders /etc/sluice`)
      .action((paths: string[], options: SnapshotOptions) => run(options, paths, { verb, tables: options.table ?? [] }));
  }
}
