import type { Command } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { type Action, PATHS } from './action.ts';

interface DlqOptions {
  readonly connector?: string;
  readonly id?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

const load = (): Promise<typeof import('./dlq.ts')> => import('./dlq.ts');
const named = (options: DlqOptions): { connector?: string } => (options.connector === undefined ? {} : { connector: options.connector });
const CONNECTOR = 'which one, if there are several';

/** `sluice dlq …`: messages that could not be delivered. */
export function addDlq(program: Command, action: Action, registry: Registry): void {
  const dlq = program
    .command('dlq')
    .description('Messages that could not be delivered ("onError": "deadLetter"): look at them, send them again, or let them go.')
    .addHelpText('after', '\nExamples:\n  $ sluice dlq list /etc/sluice\n  $ sluice dlq replay --connector shop --all /etc/sluice');
  dlq
    .command('list')
    .description('List the open dead letters, the oldest first. Shows nothing of their content.')
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'only those of one')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice dlq list --json /etc/sluice')
    .action((paths: string[], options: DlqOptions) =>
      action(options.json, async (output) => (await load()).dlqCommand(paths, { verb: 'list', ...named(options) }, output, registry)),
    );
  dlq
    .command('show')
    .description('Print one dead letter as JSON, with its key, value and headers.')
    .argument('[paths...]', PATHS)
    .requiredOption('--id <id>', 'its id, as `dlq list` shows it')
    .option('--connector <name>', CONNECTOR)
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice dlq show --id shop/7321/0000000001A2.743/0/0 /etc/sluice')
    .action((paths: string[], options: DlqOptions) =>
      action(options.json, async (output) =>
        (await load()).dlqCommand(paths, { verb: 'show', ...named(options), id: options.id ?? '' }, output, registry),
      ),
    );
  addDealing(
    dlq,
    'replay',
    'Send dead letters again, in their order, through the running connector. One of whose key a newer message came since (as a letter, too), or that has no key while its table was changed since, is not sent.',
    action,
    registry,
  );
  addDealing(dlq, 'discard', 'Let dead letters go: they are never sent.', action, registry);
}

function addDealing(dlq: Command, verb: 'replay' | 'discard', description: string, action: Action, registry: Registry): void {
  dlq
    .command(verb)
    .aliases(verb === 'discard' ? ['drop'] : [])
    .description(description)
    .argument('[paths...]', PATHS)
    .option('--id <id>', 'one, by its id')
    .option('--all', 'all that are open')
    .option('--connector <name>', CONNECTOR)
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', `\nExample:\n  $ sluice dlq ${verb} --connector shop --all /etc/sluice`)
    .action((paths: string[], options: DlqOptions, command: Command) => {
      if ((options.id === undefined) === (options.all !== true)) command.error('error: say which: --id <id> or --all', { exitCode: 2 });
      const which = options.id === undefined ? {} : { id: options.id };
      return action(options.json, async (output) => (await load()).dlqCommand(paths, { verb, ...named(options), ...which }, output, registry));
    });
}
