import type { Command } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { type Action, PATHS } from './action.ts';

interface StoredOptions {
  readonly connector: string;
  readonly file: string;
  readonly forgetOffsets?: boolean;
  readonly json?: boolean;
}

const load = (): Promise<typeof import('./stored-connectors.ts')> => import('./stored-connectors.ts');

/** `sluice connectors …`: connectors that stand in the data directory of a running daemon. */
export function addStoredConnectors(program: Command, action: Action, registry: Registry): void {
  const connectors = program
    .command('connectors')
    .description(
      'Create, change and delete connectors while the daemon runs, as the HTTP API does. They stand in the data directory; files of the configuration directory are changed by hand.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ sluice connectors create --file shop.json /etc/sluice\n  $ sluice connectors delete --connector shop /etc/sluice',
    );
  for (const [verb, description] of WITH_FILE) {
    connectors
      .command(verb)
      .description(description)
      .argument('[paths...]', PATHS)
      .requiredOption('--file <path>', 'the connector file; it is copied')
      .option('--json', 'answer with one JSON document')
      .addHelpText('after', `\nExample:\n  $ sluice connectors ${verb} --file shop.json /etc/sluice`)
      .action((paths: string[], options: StoredOptions) =>
        action(options.json, async (output) => (await load()).storedCommand(paths, { verb, file: options.file }, output, registry)),
      );
  }
  connectors
    .command('show')
    .description('Print a connector as JSON: its file, its configuration without secrets, its status, and what is wrong with it.')
    .argument('[paths...]', PATHS)
    .requiredOption('--connector <name>', 'which one')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice connectors show --connector shop /etc/sluice')
    .action((paths: string[], options: StoredOptions) =>
      action(options.json, async (output) => (await load()).storedCommand(paths, { verb: 'show', connector: options.connector }, output, registry)),
    );
  connectors
    .command('delete')
    .description('End a connector and remove its file. Says what stays: on the server, in the sink and in the data directory.')
    .argument('[paths...]', PATHS)
    .requiredOption('--connector <name>', 'which one')
    .option('--forget-offsets', 'forget its offset and its schema history too: one of this name begins anew')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice connectors delete --connector shop /etc/sluice')
    .action((paths: string[], options: StoredOptions) =>
      action(options.json, async (output) => {
        const offsets = options.forgetOffsets === true ? 'forget' : 'keep';
        return (await load()).storedCommand(paths, { verb: 'delete', connector: options.connector, offsets }, output, registry);
      }),
    );
}

const WITH_FILE = [
  ['create', 'Create a connector from a file: it runs from now on, over restarts of the daemon too.'],
  ['configure', 'Change a connector that was created so, by another file of the same name; it goes on where it was.'],
  ['validate', 'Check a file as `create` and `configure` would, beside all that is configured. Changes nothing.'],
] as const;
