import type { Command } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { type Action, PATHS } from './action.ts';

interface ConnectorsOptions {
  readonly connector?: string;
  readonly json?: boolean;
  readonly wait?: boolean;
  readonly watch?: boolean;
}

const load = (): Promise<typeof import('./connectors.ts')> => import('./connectors.ts');
const named = (options: ConnectorsOptions): { connector?: string } => (options.connector === undefined ? {} : { connector: options.connector });

/** `sluice status|pause|resume|restart`: connectors of a running daemon as wholes. */
export function addConnectors(program: Command, action: Action, registry: Registry): void {
  program
    .command('status')
    .description('Show state, lag and last trouble of the connectors of the running daemon.')
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'only one')
    .option('--watch', 'look again every second, with rows a second, until it is interrupted')
    .option('--json', 'answer with one JSON document; with --watch one line each second')
    .addHelpText('after', '\nExamples:\n  $ sluice status /etc/sluice\n  $ sluice status --watch /etc/sluice')
    .action((paths: string[], options: ConnectorsOptions) =>
      action(options.json, async (output) =>
        (await load()).connectorsCommand(paths, { verb: 'status', watch: options.watch === true, ...named(options) }, output, registry),
      ),
    );
  for (const [verb, description] of VERBS) {
    program
      .command(verb)
      .description(description)
      .argument('[paths...]', PATHS)
      .option('--connector <name>', 'which one, if there are several')
      .option('--no-wait', 'do not wait until it has happened')
      .option('--json', 'answer with one JSON document')
      .addHelpText('after', `\nExample:\n  $ sluice ${verb} --connector shop /etc/sluice`)
      .action((paths: string[], options: ConnectorsOptions) =>
        action(options.json, async (output) =>
          (await load()).connectorsCommand(paths, { verb, wait: options.wait !== false, ...named(options) }, output, registry),
        ),
      );
  }
}

const VERBS = [
  [
    'pause',
    'Let a connector rest: what is in flight is finished, then nothing is read until it is resumed, by the next daemon neither. Its server keeps the log for it meanwhile, or deletes it by its own rules.',
  ],
  ['resume', 'Let a paused connector go on where it was.'],
  ['restart', 'Let a connector begin anew from its saved offset, at once; one that has failed too, once its cause is mended.'],
] as const;
