/** Scripts that complete commands and options in a shell, made from the commands themselves. */
import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Level {
  /** `offsets show`; empty: the program itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly { readonly long: string; readonly about: string }[];
}

/** The script of a shell; `source <(sluice completion bash)` reads it. */
export function completionScript(program: Command, shell: Shell): string {
  const levels = levelsOf(program, '');
  if (shell === 'fish') return fishScript(levels);
  // zsh reads scripts of bash through this function of its own.
  return shell === 'zsh'
    ? `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(levels)}`
    : bashScript(levels);
}

function levelsOf(command: Command, path: string): readonly Level[] {
  const help = { name: 'help', description: () => 'display help for command' };
  const shown = command.commands.length === 0 ? [] : [...command.commands, ...(path === '' ? [help] : [])];
  const level = {
    path,
    commands: shown.map((each) => ({ name: typeof each.name === 'function' ? each.name() : each.name, about: firstSentence(each.description()) })),
    options: [
      ...command.options.map(({ long, description }) => ({ long: long ?? '', about: description })),
      { long: '--help', about: 'display help' },
    ],
  };
  return [level, ...command.commands.flatMap((each) => levelsOf(each, `${path} ${each.name()}`.trim()))];
}

function firstSentence(text: string): string {
  return (text.split(/(?<=\.) /)[0] ?? '').replace(/\.$/, '');
}

function bashScript(levels: readonly Level[]): string {
  const paths = levels.filter(({ path }) => path !== '').map(({ path }) => (path.includes(' ') ? `"${path}"` : `" ${path}"`));
  const cases = levels.map(({ path, commands, options }) => {
    const words = [...commands.map(({ name }) => name), ...options.map(({ long }) => long)];
    return `    "${path}") words="${words.join(' ')}" ;;`;
  });
  return `_sluice() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="" word="" words="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "$command $word" in
      ${paths.join(' | ')}) command="\${command:+$command }$word" ;;
    esac
  done
  case "$command" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ "$current" != -* && -n "$command" ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _sluice sluice
`;
}

function fishScript(levels: readonly Level[]): string {
  const lines = levels.flatMap(({ path, commands, options }) => {
    const when = fishCondition(
      path,
      commands.map(({ name }) => name),
    );
    return [
      ...commands.map(({ name, about }) => `complete -c sluice -f -n ${when} -a ${name} -d ${quoted(about)}`),
      ...options.map(({ long, about }) => `complete -c sluice -n ${when} -l ${long.replace(/^--/, '')} -d ${quoted(about)}`),
    ];
  });
  return `${lines.join('\n')}\n`;
}

/** The words so far are those of the command, and none of the commands below it has been given. */
function fishCondition(path: string, below: readonly string[]): string {
  const given = path
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => `__fish_seen_subcommand_from ${word}`);
  const none = below.length === 0 ? [] : [`not __fish_seen_subcommand_from ${below.join(' ')}`];
  return quoted([...given, ...none].join('; and '));
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
